"""Recorders and cameras of Dahua, asked by its CGI over HTTP."""
