"""Numbers as in the Python 2 that Bcfg2's servers run on.

Division of two integers gives an integer. Templates were written for that: `${count / 2}` must not become 1.5 because the
interpreter is newer. It holds for what is compiled here: Genshi's expressions and blocks, Cheetah templates, TemplateHelper
modules. Modules that these import are Python as it is.

A template's output has 12 digits of a float: `${0.1 + 0.2}` is 0.3 in a file, and stays so.
"""
import ast
import sys

IS_NEEDED = sys.version_info[0] > 2


def divide(one, other):
    if isinstance(one, int) and isinstance(other, int):
        return one // other
    return one / other


def text_of(number):
    """A number as `str` of Python 2 has it."""
    if not isinstance(number, float):
        return str(number)
    text = '%.12g' % number
    # 'inf' and 'nan' have an n, 1e+16 an e.
    if any(sign in text for sign in '.en'):
        return text
    if len(text.lstrip('-')) < 12:
        return text + '.0'
    # With its .0 it would have more than 12 digits.
    digits, exponent = ('%.11e' % number).split('e')
    return digits.rstrip('0').rstrip('.') + 'e' + exponent


class Divisions(ast.NodeTransformer):
    """Turns `/` into calls; where `from __future__ import division` is, it stays."""

    def visit_BinOp(self, node):
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div):
            return node
        return ast.copy_location(_call(node.left, node.right), node)

    def visit_AugAssign(self, node):
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div):
            return node
        value = _copied(node.target)
        return ast.copy_location(ast.Assign(targets=[node.target], value=_call(value, node.value)), node)


def _call(one, other):
    return ast.Call(func=ast.Name(id='_bcfg2_divide', ctx=ast.Load()), args=[one, other], keywords=[])


def _copied(target):
    """The target of an assignment as an expression that reads it."""
    source = ast.parse(ast.unparse(target), mode='eval').body
    for node in ast.walk(source):
        ast.copy_location(node, target)
    return source


def is_true_division(tree):
    return any(isinstance(node, ast.ImportFrom) and node.module == '__future__'
               and any(alias.name == 'division' for alias in node.names) for node in getattr(tree, 'body', ()))


def compile_code(source, path):
    """The code of a module's source."""
    if not IS_NEEDED:
        return compile(source, path, 'exec')
    tree = ast.parse(source, path)
    if not is_true_division(tree):
        tree = ast.fix_missing_locations(Divisions().visit(tree))
    return compile(tree, path, 'exec')


def install(builtins):
    builtins._bcfg2_divide = divide
