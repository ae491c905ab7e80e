public import Glibc

nonisolated extension Output {
  /// Whether text may have colours: it goes to a terminal, and NO_COLOR is not set (https://no-color.org).
  public static func mayHaveColours(_ descriptor: Int32 = STDOUT_FILENO) -> Bool {
    isatty(descriptor) == 1 && (getenv("NO_COLOR").map { $0[0] == 0 } ?? true)
  }
}
