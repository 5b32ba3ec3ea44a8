"""Options of `panlesion aid serve`: one for each field of the server's settings, with the same words."""

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import typer

if TYPE_CHECKING:
    from panlesion.aid.settings import Settings

_NOT_ON_THE_LINE = frozenset({"oidc_client_secret"})
"""Every user of a machine can read its command lines."""


def with_settings(serve: "Callable[[Settings], None]") -> Callable[..., None]:
    """A command with an option for each setting; what is not given stays to its variable, or to its default."""
    from panlesion.aid.settings import Settings

    @functools.wraps(serve)
    def command(**given: Any) -> None:
        serve(settings({name: value for name, value in given.items() if value is not None and value != []}))

    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(name, field))
        for name, field in Settings.model_fields.items()
        if name not in _NOT_ON_THE_LINE
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    del command.__wrapped__  # or its own signature would be looked at
    return command


def settings(given: dict[str, Any]) -> "Settings":
    """Settings of what the command line says; what does not fit is a mistake on the command line."""
    from pydantic import ValidationError

    from panlesion.aid.settings import Settings

    try:
        return Settings(**given)
    except ValidationError as error:
        told = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}".removeprefix(": ") for one in error.errors()]
        raise typer.BadParameter("; ".join(told)) from error


def _annotation(name: str, field: Any) -> Any:
    kinds = [kind for kind in get_args(field.annotation) if kind is not type(None)]
    kind = kinds[0] if kinds and get_origin(field.annotation) is not tuple else field.annotation
    several = get_origin(field.annotation) is tuple
    option = typer.Option(
        f"--{name.replace('_', '-')}".removesuffix("s" if several else ""),
        envvar=f"PANLESION_AID_{name.upper()}" if name == "data" else None,
        help=field.description,
        show_default=False if field.is_required() or several or field.default in (None, "") else str(field.default),
    )
    plain = list[str] if several else kind if kind in _plain() else str
    return Annotated[plain | None, option]


def _plain() -> tuple[type, ...]:
    from pathlib import Path

    return (int, float, Path)
