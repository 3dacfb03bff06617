"""The web app: what people do at app.globus.org, as plain pages over the REST APIs of this very program.

Start at `pages.py` (who is signed in, how a page is drawn) and `calls.py` (the REST APIs, called in process with a token of the person):
a page can do nothing that the API would refuse her. `consenting.py` asks on the way for what is lacking. `routes.py` lists the pages.
"""
