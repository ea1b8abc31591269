"""One client on the stream: frames a second, and how long a movement takes to be seen."""
