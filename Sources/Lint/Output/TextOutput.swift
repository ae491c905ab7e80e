import Glibc
import ServerSettings

/// Findings as Bcfg2 prints them.
public nonisolated struct TextOutput: Sendable {
  /// Columns of the terminal; nil: lines are not broken.
  private let width: Int?

  public init(width: Int?) { self.width = width.flatMap { $0 > 20 ? $0 : nil } }

  /// The columns of the terminal behind standard output; nil where it is none.
  public static var terminalWidth: Int? {
    guard isatty(STDOUT_FILENO) == 1 else { return nil }
    var size = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
    return Int(size.ws_col)
  }

  /// The lines of a finding.
  public func lines(_ finding: Finding) -> [String] {
    var lines: [String] = []
    for line in finding.lines { lines += wrapped(VisibleText.escaped(line)[...], isFirst: lines.isEmpty) }
    let prefix =
      switch finding.severity {
      case .error: "ERROR: "
      case .warning: "WARNING: "
      case .silent: ""
      }
    lines[0] = prefix + lines[0]
    return lines
  }

  /// Breaks a line at blanks; all but the first of the message are indented by two.
  private func wrapped(_ line: Substring, isFirst: Bool) -> [String] {
    guard let width, line.count + 9 > width else { return [String(line)] }
    var lines: [String] = []
    var current = ""
    for word in line.split(separator: " ") {
      if !current.isEmpty, current.count + 1 + word.count > width - 2 {
        lines.append(current)
        current = ""
      }
      current += (current.isEmpty ? "" : " ") + word
    }
    lines.append(current)
    return lines.enumerated().map { isFirst && $0.offset == 0 ? $0.element : "  " + $0.element }
  }
}
