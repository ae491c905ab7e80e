"""Division as in the Python 2 that Bcfg2's servers run on: of two integers it gives an integer.

Templates were written for that: `${count / 2}` must not become 1.5 because the interpreter is newer. It holds for what is
compiled here: Genshi's expressions and blocks, Cheetah templates, TemplateHelper modules. Modules that these import are
Python as it is.
"""
import ast
import sys

IS_NEEDED = sys.version_info[0] > 2


def divide(one, other):
    if isinstance(one, int) and isinstance(other, int):
        return one // other
    return one / other


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
