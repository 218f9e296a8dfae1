"""Turn a folder or zip of pictures into an array of faces."""
