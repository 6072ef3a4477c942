"""The exception tree and the table from statuses to exceptions."""

import inspect

import pytest

import reml_embed as reml
from reml_embed import _ffi, errors


def statuses():
    names = _ffi.ffi.typeof("reml_embed_status_t").elements
    return {value: name.removeprefix("REML_EMBED_STATUS_") for value, name in names.items()}


def test_every_status_but_ok_has_an_exception():
    assert set(errors.EXCEPTIONS) == set(statuses()) - {0}


def test_exceptions_know_their_status_and_label():
    for status, cls in errors.EXCEPTIONS.items():
        assert cls.default_status == status
        assert cls.default_label == statuses()[status].lower() == _ffi.status_label(status)
        assert cls("said").status == status


def test_everything_derives_from_one_base_and_is_drawn_in_the_tree():
    for name, cls in inspect.getmembers(errors, inspect.isclass):
        if issubclass(cls, Exception):
            assert issubclass(cls, reml.RemlError)
            assert name in errors.__doc__
            assert getattr(reml, name) is cls


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [(reml.InvalidArgumentError, ValueError), (reml.OutOfMemoryError, MemoryError), (reml.UnknownFunctionError, KeyError),
     (reml.SignatureError, TypeError)],
)  # fmt: skip
def test_bad_arguments_are_builtin_errors_too(cls, builtin):
    assert issubclass(cls, builtin)
    assert str(cls("names the thing")) == "names the thing"


def test_an_unknown_status_of_a_newer_library_is_an_error_all_the_same(context):
    error = context._error(200)
    assert type(error) is reml.RemlError
    assert (error.status, error.label) == (200, "unknown")


def test_public_names_are_listed_once_and_exist():
    assert len(reml.__all__) == len(set(reml.__all__))
    public = {name for name in vars(reml) if not name.startswith("_")}
    submodules = {name for name in public if inspect.ismodule(getattr(reml, name))}
    assert public - submodules | {"audit", "__version__"} == set(reml.__all__)
