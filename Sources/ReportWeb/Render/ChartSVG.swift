extension HTML {
  private static let height = 160
  private static let width = 700

  /// Bars of counts, one above the other, with a table of the same numbers.
  mutating func add(chart: Chart) {
    let largest = max(1, chart.bars.map { $0.counts.reduce(0, +) }.max() ?? 1)
    element("section", [("aria-labelledby", chart.key)]) { html in
      html.element("h2", [("id", chart.key)], text: chart.title)
      html.element(
        "svg",
        [
          ("class", "chart"), ("viewBox", "0 0 \(HTML.width) \(HTML.height + 34)"), ("role", "img"),
          ("aria-labelledby", chart.key), ("aria-describedby", "\(chart.key)-numbers"),
        ]
      ) { html in
        html.markup("<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" ")
        html.markup("patternTransform=\"rotate(45)\"><path class=\"hatch\" d=\"M0 0V6\"/></pattern></defs>")
        html.element("text", [("class", "axis"), ("x", "0"), ("y", "10")], text: "\(largest)")
        html.open("path", [("class", "line"), ("d", "M0 14H\(HTML.width)M0 \(HTML.height + 14)H\(HTML.width)")])
        html.markup("</path>")
        let step = Double(HTML.width) / Double(max(1, chart.bars.count))
        for (index, bar) in chart.bars.enumerated() {
          html.add(bar: bar, chart.series, x: step * Double(index), width: step, largest: largest)
        }
      }
      html.legend(chart)
      html.numbers(chart)
    }
  }

  private mutating func add(bar: Chart.Bar, _ series: [Mark], x: Double, width: Double, largest: Int) {
    var y = Double(HTML.height + 14)
    markup("<g>")
    let words = zip(series, bar.counts).filter { $0.1 > 0 }.map { "\($0.1) \($0.0.rawValue)" }.joined(separator: ", ")
    element("title", text: "\(bar.label): \(words.isEmpty ? "none" : words)")
    for (mark, count) in zip(series, bar.counts) where count > 0 {
      let height = Double(HTML.height) * Double(count) / Double(largest)
      y -= height
      let place: [(StaticString, String)] = [
        ("x", Decimals.text(x + 3, digits: 1)), ("y", Decimals.text(y, digits: 1)),
        ("width", Decimals.text(width - 6, digits: 1)), ("height", Decimals.text(height, digits: 1)),
      ]
      open("rect", [("class", "fill-\(mark.rawValue)")] + place)
      markup("</rect>")
      if mark != .clean {
        open("rect", [("fill", "url(#hatch)")] + place)
        markup("</rect>")
      }
    }
    markup("</g>")
    element(
      "text", [("class", "axis day"), ("x", Decimals.text(x + width / 2, digits: 1)), ("y", "\(HTML.height + 30)")],
      text: String(bar.label.suffix(5)))
  }

  private mutating func legend(_ chart: Chart) {
    element("ul", [("class", "legend"), ("aria-hidden", "true")]) { html in
      for (index, mark) in chart.series.enumerated() where chart.bars.contains(where: { $0.counts[index] > 0 }) {
        html.element("li") { html in
          html.element("span", [("class", "mark m-\(mark.rawValue)")], text: "\(mark.sign) \(mark.rawValue)")
        }
      }
    }
  }

  private mutating func numbers(_ chart: Chart) {
    element("details", [("id", "\(chart.key)-numbers")]) { html in
      html.markup("<summary>The numbers</summary><table><thead><tr><th scope=\"col\">Day</th>")
      for mark in chart.series { html.element("th", [("scope", "col"), ("class", "n")], text: mark.rawValue) }
      html.markup("</tr></thead><tbody>")
      for bar in chart.bars {
        html.markup("<tr>")
        html.element("th", [("scope", "row")], text: bar.label)
        for count in bar.counts { html.element("td", [("class", "n")], text: "\(count)") }
        html.markup("</tr>")
      }
      html.markup("</tbody></table>")
    }
  }
}
