"""compread from Python: the same answers as the commands', as objects.

Reading order: ``stored`` (one split of one store), ``runs`` (``open``), ``frames`` (pandas,
xarray), ``results`` (what functions give back), ``gathering`` (which stores are meant, what is odd
about them), ``questions`` (``rank``, ``analyze``, ``change``), ``weights`` (``reweight``,
``apply_weights``, ``reweighted``), ``prompting`` and ``extraction`` (``extract``).

``compread`` itself offers the names, each imported when it is first used; what is stable is said in
``docs/python.md``.
"""
