import CLinux
import Glibc

/// The helper processes of one kind, and what each is busy with.
///
/// A helper does one job at a time. One that ends, or whose answer does not fit its question, is removed and its job
/// reported as lost; the pool's owner decides whether another helper gets it. The pool has no queue: a job waits
/// with its owner until `idle` or `add` has a helper for it.
final class HelperPool<Job, Answer> {
  /// A helper, and our end of its socket.
  final class Helper {
    fileprivate(set) var job: Job?
    /// Of the last question.
    fileprivate var number: UInt32 = 0
    fileprivate let socket: Int32
    fileprivate var descriptor: FileDescriptor?
    fileprivate var watcher: Watcher?
    fileprivate var kill: (() -> Void)?

    fileprivate init(_ descriptor: consuming FileDescriptor) {
      socket = descriptor.rawValue
      self.descriptor = consume descriptor
    }
  }

  /// What an answer says; nil for what is none.
  typealias Decode = (_ packet: ArraySlice<UInt8>) -> Answer?

  private unowned let loop: Reactor
  private let start: HelperStart
  private let answerLimitBytes: Int
  private let decode: Decode
  private var lastNumber: UInt32 = 0
  private(set) var helpers: [Helper] = []
  /// A helper has answered and is idle.
  var onAnswer: (Helper, Job, Answer) -> Void = { _, _, _ in }
  /// A helper was removed, with the job that it had; why is a sentence's end, for the log.
  var onLoss: (Job?, _ reason: String) -> Void = { _, _ in }

  /// - Parameters:
  ///   - answerLimitBytes: of an answer and its number.
  ///   - decode: reads an answer without its number.
  init(on loop: Reactor, start: @escaping HelperStart, answerLimitBytes: Int, decode: @escaping Decode) {
    self.loop = loop
    self.start = start
    self.answerLimitBytes = answerLimitBytes
    self.decode = decode
  }

  var count: Int { helpers.count }
  /// A helper without a job.
  var idle: Helper? { helpers.first { $0.job == nil } }
  var isIdle: Bool { helpers.allSatisfy { $0.job == nil } }
  /// Jobs that helpers have.
  var jobs: [Job] { helpers.compactMap(\.job) }

  /// Starts one more helper.
  func add() throws(SystemError) -> Helper {
    let pair = try SocketPair(SOCK_SEQPACKET)
    let theirs = FileDescriptor(owning: pair.second)
    let ours = FileDescriptor(owning: pair.first)
    try ours.setNonblocking()
    let helper = Helper(ours)
    let kill = try start(theirs.rawValue, loop)
    do throws(SystemError) {
      helper.watcher = try loop.register(helper.socket, interest: .read) { [unowned self, unowned helper] _ in
        receive(helper)
      }
    } catch {
      kill()
      throw error
    }
    helper.kill = kill
    helpers.append(helper)
    return helper
  }

  /// Gives a job to an idle helper.
  ///
  /// - Parameters:
  ///   - question: what the helper is sent behind the number.
  ///   - descriptor: sent along, where there is one.
  func send(_ job: Job, _ question: [UInt8], descriptor: Int32? = nil, to helper: Helper) {
    precondition(helper.job == nil, "a helper does one job at a time")
    lastNumber &+= 1
    helper.number = lastNumber
    helper.job = job
    let packet = HelperProcess.bytes(of: lastNumber) + question
    let count =
      if let descriptor {
        clinux_send_descriptor(helper.socket, packet, packet.count, descriptor)
      } else {
        Glibc.send(helper.socket, packet, packet.count, Int32(MSG_NOSIGNAL))
      }
    if count != packet.count { lose(helper, String(cString: strerror(errno))) }
  }

  /// Kills a helper, whatever it does.
  func end(_ helper: Helper) {
    helpers.removeAll { $0 === helper }
    helper.watcher?.cancel()
    helper.watcher = nil
    helper.kill?()
    helper.kill = nil
    if let descriptor = helper.descriptor.take() { loop.closeLater(descriptor) }
  }

  func endAll() { for helper in helpers { end(helper) } }

  private func receive(_ helper: Helper) {
    let read = withUnsafeTemporaryAllocation(byteCount: answerLimitBytes, alignment: 1) { buffer in
      let count = recv(helper.socket, buffer.baseAddress, buffer.count, 0)
      return count < 0 ? (packet: [], code: errno) : (packet: [UInt8](buffer[..<count]), code: 0)
    }
    if read.code == EAGAIN || read.code == EINTR { return }
    if read.packet.isEmpty { return lose(helper, read.code == 0 ? "it ended" : String(cString: strerror(read.code))) }
    let size = HelperProcess.numberBytes
    guard let job = helper.job, read.packet.count >= size, HelperProcess.number(read.packet[..<size]) == helper.number,
      let answer = decode(read.packet[size...])
    else { return lose(helper, "its answer makes no sense") }
    helper.job = nil
    onAnswer(helper, job, answer)
  }

  private func lose(_ helper: Helper, _ reason: String) {
    let job = helper.job
    helper.job = nil
    end(helper)
    onLoss(job, reason)
  }
}
