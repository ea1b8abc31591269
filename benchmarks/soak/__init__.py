"""An hour under steady load: does anything grow, leak or slow down?"""
