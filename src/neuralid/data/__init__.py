"""A folder or zip of pictures -> an array of faces."""
