"""Integration: are batches mixed and is biology kept?"""
