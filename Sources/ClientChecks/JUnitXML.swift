/// The results as XML of JUnit's form, which services for continuous integration read.
public enum JUnitXML {
  public static func document(_ results: [ClientResult]) -> String {
    let failures = results.count { $0.outcome == .failure }
    let errors = results.count { $0.outcome == .error }
    var lines = [
      #"<?xml version="1.0" encoding="UTF-8"?>"#,
      #"<testsuite name="bcfg2-test" tests="\#(results.count)" errors="\#(errors)" failures="\#(failures)" skip="0">"#,
    ]
    for result in results {
      let head =
        #"  <testcase classname="ClientTest" name="\#(escaped(result.client))" time="\#(Decimals.text(result.seconds))""#
      switch result.outcome {
      case .ok: lines.append(head + "/>")
      case .failure: lines += [head + ">", element("failure", "AssertionError", result.text), "  </testcase>"]
      case .error: lines += [head + ">", element("error", "Error", result.text), "  </testcase>"]
      }
    }
    return (lines + ["</testsuite>"]).joined(separator: "\n") + "\n"
  }

  private static func element(_ tag: String, _ type: String, _ text: String) -> String {
    let first = text.split(separator: "\n").last.map(String.init) ?? ""
    return #"    <\#(tag) type="\#(type)" message="\#(escaped(first))">\#(escaped(text))</\#(tag)>"#
  }

  private static func escaped(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      case "\n", "\t": escaped.unicodeScalars.append(scalar)
      default:
        let isXML = scalar.value >= 0x20 && scalar.value != 0xFFFE && scalar.value != 0xFFFF
        escaped.unicodeScalars.append(isXML ? scalar : "\u{FFFD}")
      }
    }
    return escaped
  }
}
