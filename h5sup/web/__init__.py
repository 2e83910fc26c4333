"""The pages and players of www/, served as written."""
