"""Kernels in a small part of Python, translated to LLVM's intermediate representation (IR).

What a kernel may hold: ``for`` over ``range`` of one or two arguments, ``if``, ``continue``, assignments, arithmetic,
comparisons, ``min`` and ``max`` of two, ``int``, ``np.floor``, flat arrays and slices of them. Types are those of NumPy
and numba: an integer is 64 bits, a literal with a point is double, an integer and a float are computed in double.

What differs from Python: an index is never negative and never checked, all operands of ``and`` and ``or`` are
evaluated, and a product and a sum may be contracted into one rounding (the flag ``contract``). So a kernel cannot raise
and cannot allocate, and needs nothing at run time. Anything else in a kernel is refused with the line that holds it.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import NamedTuple

_RANK = {"i1": 0, "i64": 1, "float": 2, "double": 3}
_STORED = {"bool": "i8", "int64": "i64", "uint64": "i64", "float32": "float", "float64": "double"}
_ARITHMETIC = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul"}
_COMPARISON = {ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.Eq: "eq", ast.NotEq: "ne"}


class _Value(NamedTuple):
    type: str
    text: str


class _View(NamedTuple):
    """A flat array: type of its elements in memory, pointer to the first, distance of two neighbours."""

    stored: str
    pointer: str
    step: str


def _refusal(node):
    return NotImplementedError(f"line {node.lineno} of a kernel is not translated: {ast.unparse(node)}")


def translate(function, kinds, fast_math="contract"):
    """Return the IR of a kernel, as a function ``kernel`` without a result.

    Parameters
    ----------
    function : function
        Its source must be at hand.
    kinds : sequence of (str, bool)
        Of each argument: the name of its dtype, and whether it is an array of it (passed as a pointer).
    fast_math : str
        LLVM's flags of each sum and product.

    Raises
    ------
    NotImplementedError
        If the kernel holds what is not translated.
    """
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    return _Translation(tree, kinds, fast_math).text()


class _Translation:
    def __init__(self, tree, kinds, fast_math):
        self.fast_math = fast_math
        self.lines, self.locals, self.variables, self.count = [], [], {}, 0
        self.next_iteration = []  # labels, of the loops around
        self.parameters = []
        for argument, (dtype, is_array) in zip(tree.args.args, kinds, strict=True):
            name, stored = argument.arg, _STORED[dtype]
            self.parameters.append(f"{'ptr' if is_array else stored} %{name}")
            self.assign(name, _View(stored, f"%{name}", "1") if is_array else _Value(stored, f"%{name}"))
        self.body(tree.body)

    def text(self):
        # Without builtins no loop becomes a call of memset or memcpy.
        lines = [
            "declare float @llvm.floor.f32(float)",
            "declare double @llvm.floor.f64(double)",
            f'define void @kernel({", ".join(self.parameters)}) nounwind "no-builtins" {{',
            *self.locals,
            *self.lines,
            "ret void",
            "}",
        ]
        return "\n".join(lines) + "\n"

    # What the text is made of.

    def new(self, stem):
        self.count += 1
        return f"{stem}.{self.count}"

    def emit(self, type_, instruction):
        name = "%" + self.new("v")
        self.lines.append(f"{name} = {instruction}")
        return _Value(type_, name)

    def local(self, type_):
        name = "%" + self.new("local")
        self.locals.append(f"{name} = alloca {type_}")
        return name

    def load(self, type_, pointer):
        return self.emit(type_, f"load {type_}, ptr {pointer}")

    def store(self, type_, text, pointer):
        self.lines.append(f"store {type_} {text}, ptr {pointer}")

    def jump(self, label):
        self.lines.append(f"br label %{label}")

    def branch(self, condition, yes, no):
        self.lines.append(f"br i1 {condition.text}, label %{yes}, label %{no}")

    def block(self, label):
        self.lines.append(f"{label}:")

    # Variables: memory that LLVM turns into registers.

    def assign(self, name, value):
        if name not in self.variables:
            if isinstance(value, _View):
                self.variables[name] = _View(value.stored, self.local("ptr"), self.local("i64"))
            else:
                self.variables[name] = _Value(value.type, self.local(value.type))
        held = self.variables[name]
        if isinstance(held, _View) and isinstance(value, _View) and held.stored == value.stored:
            self.store("ptr", value.pointer, held.pointer)
            self.store("i64", value.step, held.step)
        elif isinstance(held, _Value) and isinstance(value, _Value) and held.type == value.type:
            self.store(held.type, value.text, held.text)
        else:
            raise NotImplementedError(f"{name} must keep its type, {held} becomes {value}")

    def convert(self, value, type_):
        if value.type == type_:
            return value
        operation = {
            ("i1", "i64"): "zext", ("i64", "float"): "sitofp", ("i64", "double"): "sitofp",
            ("float", "double"): "fpext", ("double", "float"): "fptrunc",
            ("float", "i64"): "fptosi", ("double", "i64"): "fptosi",
        }[value.type, type_]  # fmt: skip
        return self.emit(type_, f"{operation} {value.type} {value.text} to {type_}")

    def type_of(self, *values):
        """Type in which numbers are computed with each other."""
        types = {value.type for value in values}
        return "double" if {"i64", "float"} <= types else max(types, key=_RANK.get)

    def together(self, *values):
        type_ = self.type_of(*values)
        return type_, *(self.convert(value, type_) for value in values)

    def truth(self, value):
        return value if value.type == "i1" else self.emit("i1", f"icmp ne {value.type} {value.text}, 0")

    def arithmetic(self, node, left, right):
        if type(node.op) not in _ARITHMETIC:
            raise _refusal(node)
        type_, left, right = self.together(left, right)
        word = _ARITHMETIC[type(node.op)]
        word = f"{word} nsw" if type_ == "i64" else f"f{word} {self.fast_math}"
        return self.emit(type_, f"{word} {type_} {left.text}, {right.text}")

    def comparison(self, operator, left, right):
        type_, left, right = self.together(left, right)
        word = _COMPARISON[type(operator)]
        if type_ in ("float", "double"):
            word = f"fcmp {'u' if word == 'ne' else 'o'}{word}"
        else:
            word = f"icmp {word if word in ('eq', 'ne') else 's' + word}"
        return self.emit("i1", f"{word} {type_} {left.text}, {right.text}")

    # Expressions.

    def value(self, node):
        method = getattr(self, f"value_of_{type(node).__name__}", None)
        if method is None:
            raise _refusal(node)
        return method(node)

    def value_of_Constant(self, node):
        if isinstance(node.value, bool):
            return _Value("i1", str(node.value).lower())
        return _Value("i64", str(node.value)) if isinstance(node.value, int) else _Value("double", repr(node.value))

    def value_of_Name(self, node):
        if node.id not in self.variables:
            raise _refusal(node)
        held = self.variables[node.id]
        if isinstance(held, _View):
            return _View(held.stored, self.load("ptr", held.pointer).text, self.load("i64", held.step).text)
        return self.load(held.type, held.text)

    def value_of_UnaryOp(self, node):
        if not isinstance(node.op, ast.USub):
            raise _refusal(node)
        value = self.value(node.operand)
        if value.type == "i64":
            return self.emit("i64", f"sub nsw i64 0, {value.text}")
        return self.emit(value.type, f"fneg {value.type} {value.text}")

    def value_of_BinOp(self, node):
        if isinstance(node.op, (ast.FloorDiv, ast.Mod)):
            if not (isinstance(node.right, ast.Constant) and node.right.value == 2):
                raise _refusal(node)
            word, operand = ("ashr", 1) if isinstance(node.op, ast.FloorDiv) else ("and", 1)
            return self.emit("i64", f"{word} i64 {self.value(node.left).text}, {operand}")
        return self.arithmetic(node, self.value(node.left), self.value(node.right))

    def value_of_Compare(self, node):
        operands = [self.value(operand) for operand in (node.left, *node.comparators)]
        found = [self.comparison(*each) for each in zip(node.ops, operands, operands[1:])]  # noqa: B905
        return self.all_or_any("and", found)

    def value_of_BoolOp(self, node):
        found = [self.truth(self.value(operand)) for operand in node.values]
        return self.all_or_any("and" if isinstance(node.op, ast.And) else "or", found)

    def all_or_any(self, word, found):
        result = found[0]
        for other in found[1:]:
            result = self.emit("i1", f"{word} i1 {result.text}, {other.text}")
        return result

    def value_of_IfExp(self, node):
        """Evaluate one side only; the result goes through a variable."""
        yes, no, end, name = self.new("yes"), self.new("no"), self.new("end"), self.new("choice")
        self.branch(self.truth(self.value(node.test)), yes, no)
        self.block(yes)
        one, before = self.value(node.body), len(self.lines)
        self.block(no)
        other = self.value(node.orelse)
        if isinstance(other, _Value):  # both sides get the type of the two together
            type_ = self.type_of(one, other)
            other = self.convert(other, type_)
        self.assign(name, other)
        self.jump(end)
        self.lines, lines_of_no = self.lines[:before], self.lines[before:]
        self.assign(name, self.convert(one, type_) if isinstance(one, _Value) else one)
        self.jump(end)
        self.lines += lines_of_no
        self.block(end)
        return self.value_of_Name(ast.Name(name))

    def value_of_Call(self, node):
        name, arguments = ast.unparse(node.func), [self.value(argument) for argument in node.args]
        if name in ("min", "max") and len(arguments) == 2:
            type_, left, right = self.together(*arguments)
            better = self.comparison(ast.Lt() if name == "min" else ast.Gt(), right, left)
            return self.emit(type_, f"select i1 {better.text}, {type_} {right.text}, {type_} {left.text}")
        if name == "int" and len(arguments) == 1:
            return self.convert(arguments[0], "i64")
        if name == "np.floor" and len(arguments) == 1 and arguments[0].type in ("float", "double"):
            (value,) = arguments
            suffix = "f32" if value.type == "float" else "f64"
            return self.emit(value.type, f"call {value.type} @llvm.floor.{suffix}({value.type} {value.text})")
        raise _refusal(node)

    def value_of_Subscript(self, node):
        view = self.value(node.value)
        if isinstance(node.slice, ast.Slice):
            first = self.value(node.slice.lower) if node.slice.lower else _Value("i64", "0")
            step = self.value(node.slice.step).text if node.slice.step else "1"
            step = self.emit("i64", f"mul nsw i64 {view.step}, {step}").text
            return _View(view.stored, self.address(view, first), step)
        value = self.load(view.stored, self.address(view, self.value(node.slice)))
        return self.truth(value) if view.stored == "i8" else value

    def address(self, view, index):
        offset = self.emit("i64", f"mul nsw i64 {index.text}, {view.step}")
        return self.emit("ptr", f"getelementptr inbounds {view.stored}, ptr {view.pointer}, i64 {offset.text}").text

    def store_element(self, view, address, value):
        if view.stored == "i8":
            value = self.emit("i8", f"zext i1 {self.truth(value).text} to i8")
        else:
            value = self.convert(value, view.stored)
        self.store(view.stored, value.text, address)

    # Statements.

    def body(self, statements):
        for statement in statements:
            method = getattr(self, f"statement_{type(statement).__name__}", None)
            if method is None:
                raise _refusal(statement)
            method(statement)

    def statement_Expr(self, node):
        if not isinstance(node.value, ast.Constant):  # a docstring
            raise _refusal(node)

    def statement_Assign(self, node):
        value = self.value(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.assign(target.id, value)
            else:
                view = self.value(target.value)
                self.store_element(view, self.address(view, self.value(target.slice)), value)

    def statement_AugAssign(self, node):
        value = self.value(node.value)
        if isinstance(node.target, ast.Name):
            self.assign(node.target.id, self.arithmetic(node, self.value(ast.Name(node.target.id)), value))
            return
        view = self.value(node.target.value)
        address = self.address(view, self.value(node.target.slice))
        self.store_element(view, address, self.arithmetic(node, self.load(view.stored, address), value))

    def statement_If(self, node):
        yes, no, end = self.new("yes"), self.new("no"), self.new("end")
        self.branch(self.truth(self.value(node.test)), yes, no)
        self.block(yes)
        self.body(node.body)
        self.jump(end)
        self.block(no)
        self.body(node.orelse)
        self.jump(end)
        self.block(end)

    def statement_For(self, node):
        head, inside, further, end = (self.new(stem) for stem in ("head", "inside", "next", "end"))
        if not isinstance(node.iter, ast.Call) or ast.unparse(node.iter.func) != "range" or node.orelse:
            raise _refusal(node)
        bounds = [self.value(bound) for bound in node.iter.args]
        first, last = bounds if len(bounds) == 2 else (_Value("i64", "0"), *bounds)
        name = node.target.id
        self.assign(name, first)
        self.jump(head)
        self.block(head)
        self.branch(self.comparison(ast.Lt(), self.value(ast.Name(name)), last), inside, end)
        self.block(inside)
        self.next_iteration.append(further)
        self.body(node.body)
        self.next_iteration.pop()
        self.jump(further)
        self.block(further)
        self.assign(name, self.emit("i64", f"add nsw i64 {self.value(ast.Name(name)).text}, 1"))
        self.jump(head)
        self.block(end)

    def statement_Continue(self, node):
        self.jump(self.next_iteration[-1])
        self.block(self.new("unreachable"))
