import EventLoop
import Testing

@testable import Commands

/// The line that says how far long work is.
@Suite struct ProgressTests {
  private final class Terminal {
    var text = ""
    var now = MonotonicTime(nanoseconds: 0)
  }

  private func progress(_ terminal: Terminal, isShown: Bool = true) -> Progress {
    Progress("Building", isShown: isShown, clock: { terminal.now }, write: { terminal.text += $0 })
  }

  @Test func longWorkHasALineThatGoesAway() {
    let terminal = Terminal()
    let progress = progress(terminal)
    progress.expect(2)
    progress.expect(1)
    progress.finishOne()
    #expect(terminal.text.isEmpty)
    terminal.now = MonotonicTime(nanoseconds: 1_000_000_000)
    progress.finishOne()
    #expect(terminal.text == "\rBuilding: 2 of 3\u{1b}[K")
    // At once again: too often to read.
    progress.finishOne()
    #expect(terminal.text == "\rBuilding: 2 of 3\u{1b}[K")
    progress.end()
    progress.end()
    #expect(terminal.text == "\rBuilding: 2 of 3\u{1b}[K\r\u{1b}[K")
  }

  @Test func nothingIsShownOfShortWorkAndWithoutATerminal() {
    for isShown in [true, false] {
      let terminal = Terminal()
      let progress = progress(terminal, isShown: isShown)
      progress.expect(1)
      if !isShown { terminal.now = MonotonicTime(nanoseconds: 1_000_000_000) }
      progress.finishOne()
      progress.end()
      #expect(terminal.text.isEmpty)
    }
  }

  @Test func workThatFailsLeavesNoLine() {
    let terminal = Terminal()
    do {
      let progress = progress(terminal)
      progress.expect(2)
      terminal.now = MonotonicTime(nanoseconds: 1_000_000_000)
      progress.finishOne()
    }
    #expect(terminal.text.hasSuffix("\r\u{1b}[K"))
  }
}
