import CCurl
import CLinux
import EventLoop
import Glibc
import InstanceTags
import XMLRPC

/// Asks EC2 for tags, for the server: some requests at once over connections that stay, the others in their order.
///
/// It waits for libcurl and for the server's socket together, and ends when the socket closes.
package final class TagService {
  /// Attempts of one question where connections fail.
  private static let connectionAttempts = 3
  /// The first pause after EC2 asked for fewer requests; each further one is twice as long.
  private static let firstPause = Duration.milliseconds(250)
  private static let longestPause = Duration.seconds(5)
  /// Answers without an instance that one question follows.
  private static let pageLimit = 20
  /// A difference between the clocks that signatures allow for.
  private static let skewSeconds = 60
  /// Bytes read from the socket at once.
  private static let pieceBytes = 64 << 10

  private final class Question {
    let number: UInt64
    let host: String
    var deadline: ContinuousClock.Instant?
    var notBefore: ContinuousClock.Instant?
    var token: String?
    var attempts = 0
    var pages = 0
    var hasSetClock = false
    var hasNewKeys = false

    init(_ number: UInt64, _ host: String) {
      self.number = number
      self.host = host
    }
  }

  /// What the server said last.
  private struct Way {
    let settings: TagMessages.Settings
    let endpoint: ServiceEndpoint
    let keys: RoleKeys
  }

  private let socket: Int32
  private let multi: UnsafeMutableRawPointer
  private var way: Way?
  private var incoming: [UInt8] = []
  private var waiting: [Question] = []
  private var active: [UnsafeMutableRawPointer: (transfer: TagTransfer, question: Question)] = [:]
  /// While EC2 asks for fewer requests none is begun.
  private var pausedUntil: ContinuousClock.Instant?
  /// Seconds that AWS's clock is ahead of this machine's.
  private var clockOffset = 0
  private var status: Int32?
  /// Names that several instances have, and that were told of.
  private var shared: Set<String> = []
  private static let sharedLimit = 4096

  private static let isInitialized: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

  /// Whether there is a socket at the server's descriptor; to be asked before one of these is made.
  package static func isStartedByServer(_ socket: Int32 = TagMessages.socketNumber) -> Bool {
    var kind = stat()
    return fstat(socket, &kind) == 0 && clinux_s_issock(kind.st_mode) != 0
  }

  /// - Parameter socket: the server's, which stays the caller's.
  package init(socket: Int32 = TagMessages.socketNumber) {
    guard Self.isInitialized, let multi = curl_multi_init() else { fatalError("libcurl cannot be initialized") }
    self.socket = socket
    self.multi = multi
  }

  isolated deinit {
    for handle in active.keys { curl_multi_remove_handle(multi, handle) }
    active = [:]
    curl_multi_cleanup(multi)
  }

  /// Answers until the other end closes.
  ///
  /// - Returns: the exit status.
  package func run() -> Int32 {
    guard Self.isStartedByServer(socket) else { return 64 }
    _ = clinux_set_name("instance-tags")
    // It neither outlives the server nor shows its memory, which has the keys.
    _ = clinux_set_parent_death_signal(SIGKILL)
    _ = clinux_set_dumpable(0)
    while true {
      receive()
      if let status { return status }
      begin()
      var running: Int32 = 0
      curl_multi_perform(multi, &running)
      if !finishDone() { wait() }
    }
  }

  // MARK: The server

  private func wait() {
    var descriptor = curl_waitfd(fd: socket, events: Int16(CURL_WAIT_POLLIN), revents: 0)
    var milliseconds = 1000
    let now = ContinuousClock.now
    let times = waiting.compactMap { [$0.notBefore, pausedUntil].compactMap { $0 }.max() }
    if let next = times.min() { milliseconds = min(milliseconds, max(1, (next - now).milliseconds + 1)) }
    curl_multi_poll(multi, &descriptor, 1, Int32(milliseconds), nil)
  }

  private func receive() {
    while status == nil {
      var count = 0
      var code: Int32 = 0
      let piece = [UInt8](unsafeUninitializedCapacity: Self.pieceBytes) { space, filled in
        count = recv(socket, space.baseAddress, Self.pieceBytes, Int32(MSG_DONTWAIT))
        code = errno
        filled = max(0, count)
      }
      if count < 0 && code == EINTR { continue }
      if count < 0 && code == EAGAIN { return }
      guard count > 0 else {
        status = 0
        return
      }
      incoming += piece
      takeFrames()
    }
  }

  private func takeFrames() {
    var start = 0
    while status == nil, incoming.count - start >= FrameHeader.byteCount {
      let content = start + FrameHeader.byteCount
      guard let header = FrameHeader(incoming[start..<content], limitBytes: TagMessages.limitBytes) else {
        status = 1
        return
      }
      let next = content + header.payloadBytes
      guard incoming.count >= next else { break }
      take(header, incoming[content..<next])
      start = next
    }
    incoming = Array(incoming[start...])
  }

  private func take(_ header: FrameHeader, _ payload: ArraySlice<UInt8>) {
    switch header.kind {
    case TagMessages.Kind.settings:
      guard let settings = try? TagMessages.settings(payload), let endpoint = ServiceEndpoint(settings.endpoint) else {
        status = 1
        return
      }
      if way?.settings == settings { return }
      way = Way(
        settings: settings, endpoint: endpoint, keys: RoleKeys(settings.credentials, userAgent: settings.userAgent))
      pausedUntil = nil
    case TagMessages.Kind.question where way != nil:
      guard let host = String(validating: payload, as: UTF8.self) else {
        status = 1
        return
      }
      waiting.append(Question(header.request, host))
    default: status = 1
    }
  }

  private func send(_ frame: [UInt8]) {
    var sent = 0
    while sent < frame.count {
      let count = frame.withUnsafeBytes {
        Glibc.send(socket, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else {
        status = 0
        return
      }
      sent += count
    }
  }

  // MARK: Requests

  private func begin() {
    guard let way else { return }
    let now = ContinuousClock.now
    if let pausedUntil, pausedUntil > now { return expire(now) }
    var index = 0
    while index < waiting.count, active.count < way.settings.parallel {
      let question = waiting[index]
      if let notBefore = question.notBefore, notBefore > now {
        index += 1
        continue
      }
      waiting.remove(at: index)
      begin(question, way, now)
    }
  }

  /// Ends questions whose time is over while nothing may be begun.
  private func expire(_ now: ContinuousClock.Instant) {
    let late = waiting.filter { $0.deadline.map { $0 <= now } ?? false }
    waiting.removeAll { question in late.contains { $0 === question } }
    for question in late { fail(question, "EC2 asks for fewer requests (RequestLimitExceeded)") }
  }

  private func begin(_ question: Question, _ way: Way, _ now: ContinuousClock.Instant) {
    let deadline = question.deadline ?? now + .milliseconds(way.settings.timeoutMilliseconds)
    question.deadline = deadline
    guard deadline > now else { return fail(question, timeoutText(way)) }
    guard let credentials = way.keys.current() else {
      return fail(question, "the metadata service of this instance gives no keys of a role")
    }
    let body = DescribeInstances.form(host: question.host, token: question.token)
    let signature = RequestSignature(credentials, region: way.settings.region, service: "ec2")
    let headers = DescribeInstances.headers(way.endpoint, signature, body: body, seconds: time(nil) + clockOffset)
    question.attempts += 1
    let transfer = TagTransfer(
      .init(
        url: way.endpoint.url, headers: headers, body: body, limitBytes: DescribeInstances.answerBytes,
        milliseconds: (deadline - now).milliseconds, authority: way.settings.authority,
        userAgent: way.settings.userAgent))
    active[transfer.handle] = (transfer, question)
    let code = curl_multi_add_handle(multi, transfer.handle)
    guard code == CURLM_OK else { fatalError("curl_multi_add_handle: \(String(cString: curl_multi_strerror(code)))") }
  }

  /// - Returns: whether something was done.
  private func finishDone() -> Bool {
    var isAny = false
    var left: Int32 = 0
    while let message = curl_multi_info_read(multi, &left) {
      guard message.pointee.msg == CURLMSG_DONE, let handle = message.pointee.easy_handle else { continue }
      let code = message.pointee.data.result
      curl_multi_remove_handle(multi, handle)
      guard let (transfer, question) = active.removeValue(forKey: handle), let way else { continue }
      isAny = true
      finish(question, transfer, code, way)
    }
    return isAny
  }

  private func finish(_ question: Question, _ transfer: TagTransfer, _ code: CURLcode, _ way: Way) {
    guard code == CURLE_OK else {
      if code == CURLE_OPERATION_TIMEDOUT { return fail(question, timeoutText(way)) }
      if transfer.sink.isTooLarge { return fail(question, transfer.reason(code), isOfService: false) }
      if TagTransfer.isTransient(code), question.attempts < Self.connectionAttempts, again(question, pausesAll: false) {
        return
      }
      return fail(question, transfer.reason(code))
    }
    guard transfer.status == 200 else { return finishRefused(question, transfer, way) }
    do throws(XMLError) {
      switch try DescribeInstances.page(transfer.sink.body) {
      case .tags(let tags, let others):
        if tags != nil, others > 0 { tellOfOthers(question.host, others) }
        answer(question, .tags(tags))
      case .more(let token):
        question.pages += 1
        guard question.pages < Self.pageLimit, token.utf8.count <= 4096 else {
          return fail(question, "EC2 goes on without an instance after \(question.pages) answers", isOfService: false)
        }
        question.token = token
        question.attempts = 0
        waiting.insert(question, at: 0)
      }
    } catch {
      fail(question, "EC2's answer cannot be read: \(error)", isOfService: false)
    }
  }

  /// Says once that a name is not of one instance alone: in another network of the account somebody may have one with the same.
  private func tellOfOthers(_ host: String, _ others: Int) {
    if shared.count >= Self.sharedLimit { shared = [] }
    guard shared.insert(host).inserted else { return }
    send(
      TagMessages.frame(
        notice: "\(others + 1) instances have the private DNS name \(host); the tags of the first that EC2 names count")
    )
  }

  private func finishRefused(_ question: Question, _ transfer: TagTransfer, _ way: Way) {
    let status = transfer.status
    guard let failure = DescribeInstances.failure(transfer.sink.body) else {
      if [429, 500, 502, 503, 504].contains(status), again(question, pausesAll: true) { return }
      return fail(question, "EC2 answered with HTTP status \(status)")
    }
    if failure.isTransient || status >= 500 || status == 429, again(question, pausesAll: true) { return }
    if failure.isOfTime, !question.hasSetClock, setClock(transfer.sink.date) {
      question.hasSetClock = true
      waiting.insert(question, at: 0)
      return
    }
    if failure.isOfKeys, !question.hasNewKeys, way.keys.forget() {
      question.hasNewKeys = true
      waiting.insert(question, at: 0)
      return
    }
    // Errors about signatures repeat what was sent.
    let message = way.keys.removed(from: failure.message)
    fail(question, "\(failure.code): \(message)", isOfService: !failure.code.hasPrefix("InvalidParameter"))
  }

  /// Takes AWS's time for the next signatures.
  ///
  /// - Returns: whether that may help.
  private func setClock(_ date: String?) -> Bool {
    guard let date else { return false }
    let theirs = Int(curl_getdate(date, nil))
    guard theirs > 0 else { return false }
    let offset = theirs - time(nil)
    guard abs(offset - clockOffset) > Self.skewSeconds else { return false }
    clockOffset = offset
    send(TagMessages.frame(notice: "The clock of this machine differs from EC2's by \(offset) seconds"))
    return true
  }

  /// Has a question wait for another attempt, twice as long as before it; false if its time would be over.
  private func again(_ question: Question, pausesAll: Bool) -> Bool {
    guard let deadline = question.deadline else { return false }
    let longest = min(Self.longestPause, Self.firstPause * (1 << min(question.attempts - 1, 10)))
    // At different times for different questions, and those of other servers.
    let now = ContinuousClock.now
    let next = now + longest * Double.random(in: 0.5...1)
    guard next < deadline else { return false }
    question.notBefore = next
    if pausesAll { pausedUntil = max(next, pausedUntil ?? next) }
    waiting.append(question)
    return true
  }

  private func timeoutText(_ way: Way) -> String {
    let seconds = Double(way.settings.timeoutMilliseconds) / 1000
    return "no answer of \(way.endpoint.host) within \(seconds.formatted) s"
  }

  private func fail(_ question: Question, _ text: String, isOfService: Bool = true) {
    answer(question, .failure(TagMessages.Failure(isOfService: isOfService, DescribeInstances.shown(text, 500))))
  }

  private func answer(_ question: Question, _ answer: TagMessages.Answer) {
    send(TagMessages.frame(answer, to: question.number))
  }
}
