import errno
import pickle

import pytest

from anyportal_core import errors


def family(kind: type[errors.AnyPortalError]) -> list[type[errors.AnyPortalError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in family(child))]


def test_every_code_is_one_error_and_the_tree_names_it() -> None:
    kinds = [k for k in family(errors.AnyPortalError) if k.__module__ == errors.__name__]
    codes = [kind.code for kind in kinds]
    assert len(set(codes)) == len(codes)
    assert all(kind.__name__ in str(errors.__doc__) for kind in kinds)


@pytest.mark.parametrize("kind", family(errors.AnyPortalError))
def test_errors_cross_a_pipe_whole(kind: type[errors.AnyPortalError]) -> None:
    error = kind("it broke", where="plate.mov", hint="mend it")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert (back.message, back.where, back.hint) == ("it broke", "plate.mov", "mend it")
    assert str(back) == "plate.mov: it broke (mend it)"


def test_a_full_disk_is_told_apart() -> None:
    assert isinstance(errors.storage_error(OSError(errno.ENOSPC, "no space"), "x"), errors.DiskFullError)
    assert not isinstance(errors.storage_error(OSError(errno.EACCES, "denied"), "x"), errors.DiskFullError)
