import CPCRE2
import XMLRPC

/// Limits of regular expressions.
nonisolated enum RegexLimits {
  /// Most steps of one match: backtracking points in the text. About 6 milliseconds.
  static let steps = 200_000
  /// Most bytes of a text.
  static let textBytes = 65_536
  /// Most bytes of a pattern.
  static let patternBytes = 8192
  /// Most bytes of all compiled patterns in use.
  static let compiledBytes = 64 << 20
  /// Most bytes of machine code of all patterns together.
  static let machineCodeBytes = 4 << 20
  /// Most memory for backtracking, in KiB.
  static let heapKiB: UInt32 = 4096
  /// A pattern is compiled to machine code at this match: rarely used patterns are not worth the memory.
  static let matchesBeforeMachineCode = 32
  /// Length of the texts that test a pattern when it is read: the longest name of a client.
  static let checkedTextBytes = 255
}

/// A budget of steps for testing all patterns of one file when they are read.
public final class RegexCheck {
  private var remaining = 20 * RegexLimits.steps

  public init() {}

  /// Takes steps from the budget. Returns false if too few are left.
  func spend(_ steps: Int) -> Bool {
    guard steps <= remaining else { return false }
    remaining -= steps
    return true
  }
}

/// A pattern compiled by PCRE2, and the buffers that all matches share: there is one thread.
@MainActor package final class RegexProgram {
  package enum Outcome: Equatable {
    case found, notFound
    /// The match exceeded its steps or memory.
    case overLimit
    /// The request's budget is used up.
    case overBudget
  }

  private static let compileContext: OpaquePointer = {
    let context = pcre2_compile_context_create_8(nil)!
    pcre2_set_newline_8(context, UInt32(PCRE2_NEWLINE_LF))
    return context
  }()

  private static let matchContext: OpaquePointer = {
    let context = pcre2_match_context_create_8(nil)!
    pcre2_set_heap_limit_8(context, RegexLimits.heapKiB)
    pcre2_set_depth_limit_8(context, UInt32(RegexLimits.steps))
    return context
  }()

  private static func makeMatchData() -> OpaquePointer {
    // Group 0 and the pattern's groups; one more for a search.
    pcre2_match_data_create_8(UInt32(RegexParser.groupLimit + 2), nil)!
  }

  private static var matchData = makeMatchData()
  /// Matches of longer texts may leave much memory in the match data.
  private static let ordinaryTextBytes = 1024
  private static var holdsMuchMemory = false

  /// Bytes of all programs, and of their machine code.
  private(set) static var compiledBytes = 0
  private(set) static var machineCodeBytes = 0

  private let code: OpaquePointer
  private let sizeBytes: Int
  private var machineCodeSize = 0
  private var matches = 0

  /// - Throws: PCRE2's message; also if all patterns together would exceed `RegexLimits.compiledBytes`.
  init(_ translation: RegexTranslation) throws(RegexSyntaxError) {
    var error: CInt = 0
    var offset = 0
    var text = translation.text
    let compiled = text.withUTF8 {
      pcre2_compile_8($0.baseAddress, $0.count, translation.options, &error, &offset, Self.compileContext)
    }
    guard let compiled else { throw RegexSyntaxError(Self.message(error)) }
    var size = 0
    pcre2_pattern_info_8(compiled, UInt32(PCRE2_INFO_SIZE), &size)
    guard Self.compiledBytes + size <= RegexLimits.compiledBytes else {
      pcre2_code_free_8(compiled)
      throw RegexSyntaxError("all regular expressions need more than \(RegexLimits.compiledBytes >> 20) MiB")
    }
    code = compiled
    sizeBytes = size
    Self.compiledBytes += size
  }

  isolated deinit {
    pcre2_code_free_8(code)
    Self.compiledBytes -= sizeBytes
    Self.machineCodeBytes -= machineCodeSize
  }

  private static func message(_ error: CInt) -> String {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 256) { buffer in
      let count = pcre2_get_error_message_8(error, buffer.baseAddress, buffer.count)
      return count < 0 ? "error \(error)" : String(decoding: buffer[..<Int(count)], as: UTF8.self)
    }
  }

  /// Matches a whole text within the steps of `RegexLimits`.
  ///
  /// Most matches end within a few hundred steps. Others start again with eight times as many steps each time, charged
  /// to the request's budget: PCRE2 does not report the steps used, and so the charge is about right.
  func match(_ text: UnsafeBufferPointer<UInt8>) -> Outcome {
    guard text.count <= RegexLimits.textBytes else { return .overLimit }
    if Self.holdsMuchMemory { Self.releaseMemory() }
    Self.holdsMuchMemory = text.count > Self.ordinaryTextBytes
    var steps = 500
    if isMachineCode {
      // Here a loop over characters counts as one step.
      let outcome = run(text, steps: max(100_000 / (text.count + 1), 1), PCRE2_NO_UTF_CHECK)
      if outcome != .overLimit { return outcome }
      steps *= 8
    }
    while true {
      if steps > 500, let budget = RequestBudget.current, !budget.spend(regexSteps: steps) { return .overBudget }
      let outcome = run(text, steps: steps, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT)
      if outcome != .overLimit { return outcome }
      Self.releaseMemory()
      if steps == RegexLimits.steps { return .overLimit }
      steps = min(steps * 8, RegexLimits.steps)
    }
  }

  /// Whether a text takes more than a number of steps. Never uses machine code, which counts differently.
  func needsMore(than steps: Int, _ text: [UInt8]) -> Bool {
    text.withUnsafeBufferPointer { run($0, steps: steps, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT) } == .overLimit
  }

  private var isMachineCode: Bool {
    if machineCodeSize > 0 { return true }
    matches += 1
    guard matches == RegexLimits.matchesBeforeMachineCode, Self.machineCodeBytes < RegexLimits.machineCodeBytes,
      // Fails if the system allows no memory that is both writable and executable.
      pcre2_jit_compile_8(code, UInt32(PCRE2_JIT_COMPLETE)) == 0
    else { return false }
    pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_JITSIZE), &machineCodeSize)
    Self.machineCodeBytes += machineCodeSize
    return machineCodeSize > 0
  }

  private func run(_ text: UnsafeBufferPointer<UInt8>, steps: Int, _ options: UInt32) -> Outcome {
    pcre2_set_match_limit_8(Self.matchContext, UInt32(steps))
    let result = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1) { empty in
      // An empty text may have no address.
      pcre2_match_8(
        code, text.baseAddress ?? UnsafePointer(empty.baseAddress!), text.count, 0, options, Self.matchData,
        Self.matchContext)
    }
    if result > 0 { return .found }
    if result == PCRE2_ERROR_NOMATCH { return .notFound }
    return .overLimit
  }

  /// Frees the memory of a match, and its result.
  private static func releaseMemory() {
    holdsMuchMemory = false
    pcre2_match_data_free_8(matchData)
    matchData = makeMatchData()
  }

  /// The offsets of the last match and its groups: two for each, negative for a group that did not match.
  static func offsets(first: Int, count: Int) -> [Int] {
    Array(UnsafeBufferPointer(start: pcre2_get_ovector_pointer_8(matchData), count: 2 * (first + count + 1)))
      .dropFirst(2 * first).map { $0 }
  }
}
