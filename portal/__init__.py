"""The site: settings, addresses, sign-in, pages, errors, health. Nothing imports it at run time; start reading at urls.py."""
