"""Which modes of a mixture does a generator find? Objectives and remedies compared on points in the plane."""
