"""Classification: are the types of cells from an unseen donor recognised?"""
