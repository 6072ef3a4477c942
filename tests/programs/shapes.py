"""Prints what shapes.reml must print."""

from dataclasses import dataclass
from math import hypot


class Shape:
    def roundness(self):
        return 4.0 * 3.0 * self.area() / (self.perimeter() * self.perimeter())

    def report(self):
        return f"{self.name()}: area {self.area():.2f}, perimeter {self.perimeter():.2f}"


@dataclass
class Circle(Shape):
    x: float
    y: float
    radius: float

    def area(self):
        return 3.0 * self.radius**2

    def perimeter(self):
        return 6.0 * self.radius

    def name(self):
        return f"circle at ({self.x}, {self.y})"

    def scaled(self, k):
        return Circle(self.x, self.y, self.radius * k)


@dataclass
class Polygon(Shape):
    points: list

    def edges(self):
        return list(zip(self.points, self.points[1:] + self.points[:1]))

    def area(self):
        return abs(sum(a[0] * b[1] - a[1] * b[0] for a, b in self.edges()) / 2.0)

    def perimeter(self):
        return sum(hypot(b[0] - a[0], b[1] - a[1]) for a, b in self.edges())

    def name(self):
        return f"{len(self.points)}-gon"

    def scaled(self, k):
        return Polygon([(x * k, y * k) for x, y in self.points])


@dataclass
class Square(Shape):
    side: float

    def area(self):
        return self.side**2

    def perimeter(self):
        return 4.0 * self.side

    def name(self):
        return "square"

    def roundness(self):
        return 0.75

    def scaled(self, k):
        return Square(self.side * k)


@dataclass
class Group(Shape):
    parts: list
    pair: bool = False

    def area(self):
        return sum(p.area() for p in self.parts)

    def perimeter(self):
        return sum(p.perimeter() for p in self.parts)

    def name(self):
        names = [p.name() for p in self.parts]
        return " & ".join(names) if self.pair else "[" + " + ".join(names) + "]"

    def scaled(self, k):
        return Group([p.scaled(k) for p in self.parts], self.pair)


circle = Circle(1.0, -2.5, 2.0)
triangle = Polygon([(0.0, 0.0), (4.0, 0.0), (0.0, 3.0)])
square = Square(2.5)
for shape in (circle, triangle, square):
    print(shape.report())
print("o " + circle.report())
print("#" * 3)
print(" ".join(f"{s.roundness():.3f}" for s in (circle, triangle, square)))
print(triangle.scaled(2.0).report())
print(Group([circle, circle.scaled(2.0)]).report())
print(Group([square, Group([triangle, triangle])], True).report())
print(Group([square]).scaled(3.0).report())
figures = [circle, triangle, square]
print(Group(figures).report())
print(max(figures, key=lambda s: s.area()).name())
print(f"Some({max([square, square.scaled(2.0)], key=lambda s: s.area()).side})")
print("[" + ", ".join('"' + s.name() + '"' for s in sorted(figures, key=lambda s: s.area())) + "]")
print(f"{triangle.scaled(3.0).area() / triangle.area():.2f} {circle.scaled(0.5).area() / circle.area():.2f}")
print("[(1.0, 2.0), (0.0, 0.0)]")
