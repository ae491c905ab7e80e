import Commands
import EventLoop
import Glibc

/// Lines edited on a terminal by libedit or GNU readline, whichever this machine has, with history and completion.
///
/// The library is opened at run time: the command runs without it, too. Its callback interface leaves the waiting to the loop.
@MainActor
final class LineEditor: LineSource {
  private typealias LineHandler = @convention(c) (UnsafeMutablePointer<CChar>?) -> Void
  private typealias Install = @convention(c) (UnsafePointer<CChar>, LineHandler) -> Void
  private typealias Call = @convention(c) () -> Void
  private typealias AddHistory = @convention(c) (UnsafePointer<CChar>) -> Int32
  private typealias Generator = @convention(c) (UnsafePointer<CChar>?, Int32) -> UnsafeMutablePointer<CChar>?
  private typealias Matches =
    @convention(c) (UnsafePointer<CChar>?, Generator) -> UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
  private typealias Attempt =
    @convention(c) (UnsafePointer<CChar>?, Int32, Int32) -> UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?

  /// The libraries call functions without a context.
  private static var current: LineEditor?

  private let loop: Reactor
  private let completer: Completer
  private let history: ShellHistory?
  private let install: Install
  private let readCharacter: Call
  private let remove: Call
  private let addHistory: AddHistory
  private let matches: Matches
  private let lineBuffer: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
  private let isAttemptOver: UnsafeMutablePointer<Int32>
  private var watcher: Watcher?
  private var waiting: CheckedContinuation<String?, Never>?
  /// Candidates for the word that is completed; the library asks for them one by one.
  private var candidates: ArraySlice<String> = []
  private var lastLine = ""
  private var duty: EndingDuty?

  private static let libraries = ["libedit.so.2", "libedit.so.0", "libreadline.so.8", "libreadline.so.7"]

  /// nil where there is no such library.
  init?(on loop: Reactor, completer: Completer, history: ShellHistory?) {
    guard let library = Self.libraries.lazy.compactMap({ dlopen($0, RTLD_NOW | RTLD_LOCAL) }).first else { return nil }
    func function<F>(_ name: String, as type: F.Type) -> F? {
      dlsym(library, name).map { unsafeBitCast($0, to: type) }
    }
    guard let install = function("rl_callback_handler_install", as: Install.self),
      let readCharacter = function("rl_callback_read_char", as: Call.self),
      let remove = function("rl_callback_handler_remove", as: Call.self),
      let addHistory = function("add_history", as: AddHistory.self),
      let matches = function("rl_completion_matches", as: Matches.self),
      let lineBuffer = dlsym(library, "rl_line_buffer"),
      let attempt = dlsym(library, "rl_attempted_completion_function"),
      let isAttemptOver = dlsym(library, "rl_attempted_completion_over"),
      let breakCharacters = dlsym(library, "rl_completer_word_break_characters")
    else {
      dlclose(library)
      return nil
    }
    self.loop = loop
    self.completer = completer
    self.history = history
    self.install = install
    self.readCharacter = readCharacter
    self.remove = remove
    self.addHistory = addHistory
    self.matches = matches
    self.lineBuffer = lineBuffer.assumingMemoryBound(to: UnsafeMutablePointer<CChar>?.self)
    self.isAttemptOver = isAttemptOver.assumingMemoryBound(to: Int32.self)
    // Names of entries have colons and slashes.
    breakCharacters.assumingMemoryBound(to: UnsafeMutablePointer<CChar>?.self).pointee = strdup(" \t\n\"'")
    attempt.assumingMemoryBound(to: Optional<Attempt>.self).pointee = { text, start, _ in
      MainActor.assumeIsolated { UInt(bitPattern: LineEditor.current?.complete(text, Int(start))) }.pointer
    }
    // The terminal is as it was, whatever ends the process.
    duty = EndingDuty { LineEditor.current?.leave() }
    atexit { MainActor.assumeIsolated { LineEditor.current?.leave() } }
    Self.current = self
    for line in history?.lines ?? [] { _ = addHistory(line) }
    lastLine = history?.lines.last ?? ""
  }

  func next(prompt: String) async -> String? {
    await completer.refresh()
    return await withCheckedContinuation { continuation in
      waiting = continuation
      do throws(SystemError) {
        watcher = try loop.register(STDIN_FILENO, interest: .read) { [unowned self] _ in readCharacter() }
      } catch {
        finish(nil)
        return
      }
      install(prompt) { line in
        let text = line.map { String(cString: $0) }
        free(line)
        MainActor.assumeIsolated { LineEditor.current?.finish(text) }
      }
    }
  }

  private func finish(_ line: String?) {
    leave()
    if let line, !line.allSatisfy(\.isWhitespace), line != lastLine {
      lastLine = line
      _ = addHistory(line)
      history?.add(line)
    }
    if line == nil { Output.write("\n") }
    waiting.take()?.resume(returning: line)
  }

  private func leave() {
    guard let watcher else { return }
    watcher.cancel()
    self.watcher = nil
    remove()
  }

  private func complete(
    _ text: UnsafePointer<CChar>?, _ start: Int
  ) -> UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? {
    guard let text, let buffer = lineBuffer.pointee else { return nil }
    let before = String(decoding: UnsafeRawBufferPointer(start: buffer, count: start), as: UTF8.self)
    guard let found = completer.candidates(before: before, word: String(cString: text)) else {
      // Files are what the library completes by itself.
      isAttemptOver.pointee = 0
      return nil
    }
    isAttemptOver.pointee = 1
    candidates = found[...]
    return matches(text) { _, _ in
      MainActor.assumeIsolated { UInt(bitPattern: LineEditor.current?.candidates.popFirst().flatMap { strdup($0) }) }
        .characters
    }
  }
}

extension UInt {
  /// The pointers that a library gets leave the main actor as numbers.
  fileprivate var pointer: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? {
    UnsafeMutablePointer(bitPattern: self)
  }
  fileprivate var characters: UnsafeMutablePointer<CChar>? { UnsafeMutablePointer(bitPattern: self) }
}
