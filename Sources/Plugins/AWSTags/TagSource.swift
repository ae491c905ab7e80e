import Core
import EventLoop
import Glibc
import InstanceTags
import Logging

/// Who is asked for the tags of an instance.
protocol TagSource: AnyObject {
  /// The tags of the instance with a private DNS name.
  func tags(of host: String) async -> TagMessages.Answer
  /// Asks in another way from now on.
  func follow(_ settings: TagMessages.Settings, program: String)
  /// Asks nobody any more.
  func close()
}

/// Has `bcfg2-packages` ask EC2: one process for all questions, which stays while there are some.
final class TagProgram: TagSource {
  /// Questions that may wait at once.
  static let waitingLimit = 4096
  /// How long a program without questions is kept.
  static let idleTime = Duration.seconds(300)
  /// A program that says nothing for this time beyond that of a question hangs.
  static let grace = Duration.seconds(30)

  private unowned let loop: Reactor
  private let logger: Logger
  private var settings: TagMessages.Settings
  private var program: String
  private var helper: FrameHelper?
  private var waiting: [UInt64: [CheckedContinuation<TagMessages.Answer, Never>]] = [:]
  private var numbers: [String: UInt64] = [:]
  private var hosts: [UInt64: String] = [:]
  private var lastNumber: UInt64 = 0
  private var timer: Timer?
  private var isClosed = false

  init(_ settings: TagMessages.Settings, program: String, on loop: Reactor, logger: Logger) {
    self.settings = settings
    self.program = program
    self.loop = loop
    self.logger = logger
  }

  /// The program's process; nil while there is none.
  var processID: Int32? { helper?.child.processID }

  /// Those who ask for the same host at once share a question.
  func tags(of host: String) async -> TagMessages.Answer {
    if isClosed { return Self.failure("the server stops") }
    if let number = numbers[host] { return await withCheckedContinuation { waiting[number, default: []].append($0) } }
    guard numbers.count < Self.waitingLimit else {
      return Self.failure("\(Self.waitingLimit) questions wait already")
    }
    do throws(SystemError) {
      let helper = if let helper { helper } else { try start() }
      lastNumber += 1
      let number = lastNumber
      numbers[host] = number
      hosts[number] = host
      // The time of a hang is counted from the last thing that was heard, or from the first question.
      if numbers.count == 1 { schedule() }
      return await withCheckedContinuation { continuation in
        waiting[number] = [continuation]
        helper.send(TagMessages.frame(question: number, host: host))
      }
    } catch {
      return Self.failure(
        "\(error). The program belongs beside the server, or [awstags] program names it")
    }
  }

  func follow(_ settings: TagMessages.Settings, program: String) {
    self.program = program
    guard settings != self.settings else { return }
    self.settings = settings
    helper?.send(TagMessages.frame(settings))
  }

  func close() {
    isClosed = true
    end("the server stops")
  }

  private static func failure(_ text: String) -> TagMessages.Answer {
    .failure(TagMessages.Failure(isOfService: true, text))
  }

  // MARK: The program

  private func start() throws(SystemError) -> FrameHelper {
    let started = try FrameHelper(
      ChildProcess.Configuration([program, "instance-tags"]), socketNumber: TagMessages.socketNumber,
      limitBytes: TagMessages.limitBytes, on: loop
    ) { [weak self] in
      self?.take($0)
    } onEnd: { [weak self] in
      self?.lost($0)
    }
    helper = started
    started.send(TagMessages.frame(settings))
    return started
  }

  private func take(_ frame: FrameHelper.Frame) {
    if frame.kind == TagMessages.Kind.notice {
      let notice = String(decoding: frame.payload, as: UTF8.self)
      logger.warning("AWSTags: \(notice)")
      return schedule()
    }
    do throws(TagMessages.Malformed) {
      let answer = try TagMessages.answer(frame.kind, frame.payload)
      guard let host = hosts.removeValue(forKey: frame.request) else { return }
      numbers[host] = nil
      let continuations = waiting.removeValue(forKey: frame.request) ?? []
      schedule()
      for continuation in continuations { continuation.resume(returning: answer) }
    } catch {
      end("\(program): its answer makes no sense")
    }
  }

  private func lost(_ reason: String) {
    helper = nil
    end("\(program): \(reason)")
  }

  /// Ends the program, and answers those who wait.
  private func end(_ reason: String) {
    timer?.cancel()
    timer = nil
    helper?.close()
    helper = nil
    let left = waiting.values.flatMap { $0 }
    waiting = [:]
    numbers = [:]
    hosts = [:]
    for continuation in left { continuation.resume(returning: Self.failure(reason)) }
  }

  /// Ends the program after a while: one without questions, or one that hangs.
  private func schedule() {
    timer?.cancel()
    let isIdle = numbers.isEmpty
    let delay = isIdle ? Self.idleTime : .milliseconds(settings.timeoutMilliseconds) + Self.grace
    timer = loop.schedule(after: delay) { [weak self] in
      guard let self else { return }
      end(isIdle ? "it has nothing to do" : "\(program): no answer within \(delay)")
    }
  }
}
