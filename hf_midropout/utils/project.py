"""How to get this package, said once: it is on no package index."""

from __future__ import annotations


INSTALL = "`pip install .` in a clone of its repository, or `pip install` of its wheel"
INSTALL_EXPORT = "`pip install '.[export]'` in a clone of the repository"
