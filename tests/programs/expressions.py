"""Prints what expressions.reml must print."""

import ast
import math

env = {"x": 3.0, "y": 4.0, "sqrt": math.sqrt, "abs": abs}
# "-x ^ 2": in the program's grammar the minus takes climb(rest, 5), and ^ binds tighter: -(x ^ 2)
shapes = {
    "1 + 2 * 3": "(1 + (2 * 3))",
    "2 ^ 3 ^ 2": "(2 ^ (3 ^ 2))",
    "-x ^ 2": "-(x ^ 2)",
    "(1 + x) * (y - 1)": "((1 + x) * (y - 1))",
    "sqrt(x*x + y*y)": "sqrt(((x * x) + (y * y)))",
    "1 - 2 - 3": "((1 - 2) - 3)",
    "8 / 4 / 2": "((8 / 4) / 2)",
}

OPS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "^"}


def show(node):
    if isinstance(node, ast.Expression):
        return show(node.body)
    if isinstance(node, ast.Constant):
        return f"{node.value:g}"
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.UnaryOp):
        return "-" + show(node.operand)
    if isinstance(node, ast.Call):
        return f"{node.func.id}({show(node.args[0])})"
    return f"({show(node.left)} {OPS[type(node.op)]} {show(node.right)})"


for text, shape in shapes.items():
    tree = ast.parse(text.replace("^", "**"), mode="eval")
    assert show(tree) == shape, (show(tree), shape)
    print(f"{text} = {shape} = {eval(compile(tree, '', 'eval'), {}, env):g}")
print("abs(-2.5) + z: unknown name z")
print("1 +: unexpected end")
print("(1: missing )")
print("1 2: text after the expression: Number(2.0)")
print("3 $ 4: what is $?")
print("f(1): unknown function f")
print("d/dx x^3 + 2*x = ((3 * (x ^ 2)) + 2)")
print("d/dx x * y = y")
print("d/dx 1 / x = ((0 - 1) / (x ^ 2))")
print("d/dx (x + 1)^2 = (2 * (x + 1))")
print("d/dx 5 = 0")
