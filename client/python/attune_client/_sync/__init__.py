# Made by client/python/make_sync.py from attune_client/_async/__init__.py; change that.
