"""What a program finds on its path when `papertape serve --exec` starts it; not for import here."""
