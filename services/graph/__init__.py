"""The graph and analysis service: draws what datasets hold and says what their headers tell, near the data.

An OAuth2 resource server of its own (Starlette) and a Celery worker. It imports nothing of the portal; they meet over HTTP.
Start reading at `graphs.py` (the way of one graph), then `summarising.py` (the numbers) and `drawing.py` (the charts).
"""
