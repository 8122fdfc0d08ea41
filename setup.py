"""The list of packages; everything else stands in pyproject.toml.

``functions/`` stays at the top level of the repository and is installed as ``mimocorb_dist.functions``.
"""

from setuptools import find_packages, setup

functions = ["functions", *(f"functions.{name}" for name in find_packages("functions"))]

setup(
    packages=[
        *find_packages(include=["mimocorb_dist", "mimocorb_dist.*"]),
        *(f"mimocorb_dist.{name}" for name in functions),
    ],
    package_dir={"mimocorb_dist.functions": "functions"},
)
