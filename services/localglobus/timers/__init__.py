"""Globus Timers: transfers that are submitted later, once or again and again, in the name of who made the timer.

`routes.py` is the edge; `schedules.py` says when, `timers.py` what there is, `running.py` submits what is due, on what `authority.py` finds
agreed to at that moment.
"""
