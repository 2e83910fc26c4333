"""Recorders and cameras of Hikvision, asked by ISAPI over HTTP."""
