"""Clustering: do the cells of one type lie together, without anybody training on labels?"""
