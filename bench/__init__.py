"""bench: is this single-cell model better than PCA, scVI or logistic regression, and at what cost?"""
