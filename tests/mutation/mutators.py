"""Every small change of a module that mutation testing tries, one at a time and in a fixed order.

A mutant is named by what it changes, ``function: before -> after``, and not by its line: an explained survivor stays
found when lines move. Left alone are what decides nothing: docstrings, annotations, and the sentence of a fault or of a
failed step (the input or the step that it names is changed, and so is what a step found).
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARED = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_COMPUTED = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.FloorDiv,),
    ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.Pow: (ast.Mult,),
}
_CALLED = {"all": "any", "any": "all", "min": "max", "max": "min"}
_DROPPED = (ast.Expr, ast.Assign, ast.AugAssign, ast.Raise, ast.Continue, ast.Break)
#: The first argument names what is wrong (a field, a step); those after it say so in words.
_FAULTS = ("Fault", "VerificationError")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed module."""

    name: str
    line: int
    #: the function or method that was changed, as ``Class.method``; empty for what stands outside of all
    function: str
    source: str


@dataclass(frozen=True, slots=True)
class _Place:
    """A node, and where it stands."""

    node: ast.AST
    parent: ast.AST
    field: str
    #: position in a list of the parent's; None for a single child
    position: int | None
    around: tuple[ast.AST, ...]

    def put(self, node: ast.AST) -> None:
        if self.position is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.position] = node


def mutants(source: str) -> Iterator[Mutant]:
    """Yield the mutants of a module, each of which differs from the module and from the others."""
    tree = ast.parse(source)
    texts = [ast.unparse(statement) for statement in tree.body]
    seen = [{text} for text in texts]
    named: dict[str, int] = {}
    for number, statement in enumerate(tree.body):
        if _is_docstring(statement):
            continue
        for place in _places(_Place(statement, tree, "body", number, ())):
            before = _words(place.node)
            for after in _replacements(place):
                place.put(after)
                text = ast.unparse(tree.body[number])
                words = _words(after)
                place.put(place.node)
                if text in seen[number]:
                    continue
                seen[number].add(text)
                where = ".".join(_names(place))
                name = f"{where or 'module'}: {before} -> {words}"
                named[name] = named.get(name, 0) + 1
                if named[name] > 1:
                    name = f"{name} (no. {named[name]})"
                changed = "\n".join([*texts[:number], text, *texts[number + 1 :]])
                yield Mutant(name, getattr(place.node, "lineno", 0), where, changed)


def _words(node: ast.AST) -> str:
    return "(nothing)" if isinstance(node, ast.Pass) else " ".join(ast.unparse(node).split())


def _names(place: _Place) -> list[str]:
    return [node.name for node in (*place.around, place.node) if isinstance(node, ast.FunctionDef | ast.ClassDef)]


def _places(place: _Place) -> Iterator[_Place]:
    """Yield a place and those within it that decide something."""
    yield place
    around = (*place.around, place.node)
    for field, value in list(ast.iter_fields(place.node)):
        if _only_words(place.node, field):
            continue
        for position, child in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(child, ast.AST) and not _said(place.node, field, position, child):
                yield from _places(
                    _Place(child, place.node, field, position if isinstance(value, list) else None, around)
                )


def _only_words(node: ast.AST, field: str) -> bool:
    """Return whether a part of a node is an annotation or text within text."""
    return field in {"annotation", "returns", "ctx"} or isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _said(parent: ast.AST, field: str, position: int, child: ast.AST) -> bool:
    """Return whether a node is a docstring or the sentence of a fault."""
    if _is_docstring(child):
        return True
    called = parent.func.id if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) else ""
    return field == "args" and ((called in _FAULTS and position > 0) or called == "NewType")


def _replacements(place: _Place) -> Iterator[ast.AST]:
    """Yield what may stand in a place instead."""
    node = place.node
    match node:
        case ast.expr():
            yield from _other_values(node, place)
            if place.field == "test" and not isinstance(node, ast.Compare | ast.UnaryOp):
                yield ast.UnaryOp(ast.Not(), node)
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield ast.Return(ast.Constant(None))
        case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=finalbody):
            for number in range(len(handlers) if len(handlers) > 1 else 0):
                yield ast.Try(body, [*handlers[:number], *handlers[number + 1 :]], orelse, finalbody)
        case ast.comprehension(target=target, iter=iterated, ifs=conditions, is_async=is_async) if conditions:
            yield ast.comprehension(target, iterated, [], is_async)
        case _ if isinstance(node, _DROPPED) and _in_function(place):
            yield ast.Pass()


def _in_function(place: _Place) -> bool:
    return any(isinstance(node, ast.FunctionDef) for node in place.around)


def _other_values(node: ast.expr, place: _Place) -> Iterator[ast.expr]:
    match node:
        case ast.Compare(left=left, ops=operators, comparators=compared):
            for number, operator in enumerate(operators):
                for other in _COMPARED[type(operator)]:
                    yield ast.Compare(left, [*operators[:number], other(), *operators[number + 1 :]], compared)
        case ast.BinOp(left=left, op=operator, right=right):
            for other in _COMPUTED.get(type(operator), ()):
                yield ast.BinOp(left, other(), right)
        case ast.BoolOp(op=operator, values=values):
            yield ast.BoolOp(ast.And() if isinstance(operator, ast.Or) else ast.Or(), values)
            for number in range(len(values)):
                kept = [*values[:number], *values[number + 1 :]]
                yield ast.BoolOp(operator, kept) if len(kept) > 1 else kept[0]
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.IfExp(body=body, orelse=otherwise):
            yield from (body, otherwise)
        case ast.Constant(value=value):
            yield from _other_constants(value)
        case (
            ast.Set(elts=elements) | ast.Tuple(elts=elements, ctx=ast.Load()) | ast.List(elts=elements, ctx=ast.Load())
        ):
            for number in range(len(elements) if len(elements) > 1 and place.field != "slice" else 0):
                yield type(node)([*elements[:number], *elements[number + 1 :]])
        case ast.Call(func=called, args=arguments, keywords=named):
            if isinstance(called, ast.Name) and called.id in _CALLED:
                yield ast.Call(ast.Name(_CALLED[called.id], ast.Load()), arguments, named)
            if isinstance(called, ast.Name) and called.id in {"reversed", "sorted"} and len(arguments) == 1:
                yield arguments[0]
            if ast.unparse(called) == "re.compile" and isinstance(arguments[0], ast.Constant):
                for pattern in _other_patterns(arguments[0].value):
                    yield ast.Call(called, [ast.Constant(pattern), *arguments[1:]], named)
            for number in range(len(named)):
                yield ast.Call(called, arguments, [*named[:number], *named[number + 1 :]])


def _other_constants(value: object) -> Iterator[ast.Constant]:
    match value:
        case bool():
            yield ast.Constant(not value)
        case int():
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))
        case str():
            yield ast.Constant(value + "X")
        case bytes():
            yield ast.Constant(value + b"X")


def _other_patterns(pattern: str) -> Iterator[str]:
    """Yield patterns in which a digit is one more or less, or one of ``?*+`` is left out, and that are patterns."""
    for position, character in enumerate(pattern):
        if character.isdecimal():
            others = [str(int(character) + step) for step in (1, -1) if 0 <= int(character) + step <= 9]
        else:
            others = [""] if character in "?*+" else []
        for other in others:
            changed = pattern[:position] + other + pattern[position + 1 :]
            try:
                re.compile(changed)
            except re.error:
                continue
            yield changed
