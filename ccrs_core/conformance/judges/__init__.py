"""Which answer or event is right, by the truth of the emulated market and by the calendar.

May import the workbench, and of the suite nothing else besides.
"""
