"""How fast is it, next to what else there is? Every figure is a ratio, from one run, on one machine.

Imports `generator` only: the service and its peers are started as processes, as their users start them.
"""
