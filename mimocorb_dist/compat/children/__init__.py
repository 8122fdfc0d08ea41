"""A folder for PYTHONPATH: in every Python process that has it there, the classic names are found."""
