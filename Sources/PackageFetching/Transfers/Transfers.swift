import CCurl
import EventLoop

/// Transfers files by libcurl, some at once, the others in the order in which they were asked for.
///
/// A task drives all transfers while there are any: it lets libcurl work, waits at most a tenth of a second for sockets, and
/// gives way to the tasks whose files are there. So everything happens on the main thread.
package final class Transfers {
  package let options: FetchOptions
  /// Is called some ten times a second while there are transfers.
  package var onStep: (() -> Void)?

  private let multi: UnsafeMutableRawPointer
  private var queue: [Waiting] = []
  private var active: [UnsafeMutableRawPointer: Active] = [:]
  private var isDriving = false
  /// Time that libcurl had to work in. A source that is being indexed stops all transfers; that time is nobody's stall.
  private var worked = Duration.zero
  private let end: ContinuousClock.Instant

  private struct Waiting {
    let request: TransferRequest
    let progress: TransferProgress?
    let continuation: CheckedContinuation<TransferOutcome, Never>
    var isContinued = true
    var retriesLeft: Int
    /// Of the attempts before.
    var transferred = 0
  }

  private struct Active {
    let curl: CurlHandle
    let waiting: Waiting
    var counted = 0
    /// When the present look at the rate began, and what had been received then.
    var windowStart: Duration
    var windowBytes = 0
  }

  private static let isInitialized: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

  package init(_ options: FetchOptions) {
    guard Self.isInitialized, let multi = curl_multi_init() else { fatalError("libcurl cannot be initialized") }
    self.options = options
    end = .now + options.totalTimeout
    self.multi = multi
    ccurl_multi_set_long(multi, CURLMOPT_PIPELINING, Int(CURLPIPE_MULTIPLEX))
  }

  isolated deinit {
    precondition(active.isEmpty)
    curl_multi_cleanup(multi)
  }

  /// Transfers one file, and waits until that is done.
  package func transfer(_ request: TransferRequest, progress: TransferProgress? = nil) async -> TransferOutcome {
    await withCheckedContinuation { continuation in
      queue.append(
        Waiting(request: request, progress: progress, continuation: continuation, retriesLeft: options.retries))
      guard !isDriving else { return }
      isDriving = true
      Task { await drive() }
    }
  }

  private func drive() async {
    while !queue.isEmpty || !active.isEmpty {
      startWaiting()
      if !active.isEmpty { step() }
      onStep?()
      await Task.yield()
    }
    isDriving = false
  }

  // MARK: Starting

  private func startWaiting() {
    var perServer: [[UInt8]: Int] = [:]
    for transfer in active.values { perServer[Self.server(transfer.waiting.request), default: 0] += 1 }
    var index = 0
    while index < queue.count, active.count < options.parallel {
      let server = Self.server(queue[index].request)
      guard perServer[server, default: 0] < options.parallelPerServer else {
        index += 1
        continue
      }
      perServer[server, default: 0] += 1
      start(queue.remove(at: index))
    }
  }

  private static func server(_ request: TransferRequest) -> [UInt8] {
    Array(request.url.bytes.split(separator: UInt8(ascii: "/"), maxSplits: 2).prefix(2).joined())
  }

  private func start(_ waiting: Waiting) {
    do throws(SystemError) {
      let curl = try CurlHandle(waiting.request, isContinued: waiting.isContinued, options: options)
      active[curl.handle] = Active(curl: curl, waiting: waiting, windowStart: worked)
      let code = curl_multi_add_handle(multi, curl.handle)
      guard code == CURLM_OK else { fatalError("curl_multi_add_handle: \(String(cString: curl_multi_strerror(code)))") }
    } catch {
      waiting.continuation.resume(returning: Self.failure(waiting, .other(error.description)))
    }
  }

  /// Why a transfer was not begun.
  private static func failure(_ waiting: Waiting, _ reason: TransferFailure.Reason) -> TransferOutcome {
    .failed(
      TransferFailure(
        url: waiting.request.url, reason: reason, received: 0, validators: Validators(), isMissingLocally: false))
  }

  // MARK: Working

  private func step() {
    let start = ContinuousClock.now
    var running: Int32 = 0
    var code = curl_multi_perform(multi, &running)
    if code == CURLM_OK, !finishDone() {
      let wait = min(100, max(1, options.stallTimeout.milliseconds / 4))
      code = curl_multi_poll(multi, nil, 0, Int32(wait), nil)
      if code == CURLM_OK { code = curl_multi_perform(multi, &running) }
      _ = finishDone()
    }
    guard code == CURLM_OK else { fatalError("libcurl: \(String(cString: curl_multi_strerror(code)))") }
    worked += ContinuousClock.now - start
    count()
    giveUpStalled()
  }

  /// Ends what libcurl says is done.
  ///
  /// - Returns: true if there was something.
  private func finishDone() -> Bool {
    var isAny = false
    var left: Int32 = 0
    while let message = curl_multi_info_read(multi, &left) {
      guard message.pointee.msg == CURLMSG_DONE, let handle = message.pointee.easy_handle else { continue }
      let code = message.pointee.data.result
      isAny = true
      count()
      guard let transfer = remove(handle) else { continue }
      finish(transfer, code)
    }
    return isAny
  }

  private func remove(_ handle: UnsafeMutableRawPointer) -> Active? {
    curl_multi_remove_handle(multi, handle)
    return active.removeValue(forKey: handle)
  }

  private func finish(_ transfer: Active, _ code: CURLcode) {
    let curl = transfer.curl
    var again = transfer.waiting
    again.transferred += curl.sink.transferred
    if curl.isOutOfRange, again.isContinued {
      again.isContinued = false
      queue.insert(again, at: 0)
      return
    }
    if curl.isBroken(code), again.retriesLeft > 0 {
      again.retriesLeft -= 1
      var request = again.request
      request.partial = curl.sink.validators
      again = Waiting(
        request: request, progress: again.progress, continuation: again.continuation,
        retriesLeft: again.retriesLeft, transferred: again.transferred)
      queue.insert(again, at: 0)
      return
    }
    var outcome = curl.outcome(code)
    switch outcome {
    case .failed(let failure) where CurlHandle.isMissingFile(code):
      outcome = .failed(curl.failure(failure.reason, isMissing: true))
    case .stored(let stored):
      outcome = .stored(
        .init(bytes: stored.bytes, transferred: again.transferred, validators: stored.validators))
    default: break
    }
    again.continuation.resume(returning: outcome)
  }

  private func count() {
    for (handle, transfer) in active {
      let transferred = transfer.curl.sink.transferred
      transfer.waiting.progress?.bytes += transferred - transfer.counted
      active[handle]?.counted = transferred
    }
  }

  /// Ends transfers that brought too little during the last `stallTimeout`. libcurl's own bound counts whole seconds, and
  /// the time in which it was not called.
  private func giveUpStalled() {
    let needed = Int(Double(options.leastBytesPerSecond) * options.stallTimeout.inSeconds)
    if ContinuousClock.now >= end { return giveUpAll() }
    for (handle, transfer) in active where worked - transfer.windowStart >= options.stallTimeout {
      let received = transfer.curl.sink.transferred
      if received - transfer.windowBytes >= max(1, needed) {
        active[handle]?.windowStart = worked
        active[handle]?.windowBytes = received
      } else {
        _ = remove(handle)
        let reason = TransferFailure.Reason.stalled(
          bytesPerSecond: options.leastBytesPerSecond, seconds: options.stallTimeout.inSeconds)
        transfer.waiting.continuation.resume(returning: .failed(transfer.curl.failure(reason)))
      }
    }
  }

  /// Ends all transfers when the time is over: a server that gives a little again and again would hold the cache for weeks.
  private func giveUpAll() {
    let reason = TransferFailure.Reason.outOfTime(seconds: options.totalTimeout.inSeconds)
    for (handle, transfer) in active {
      _ = remove(handle)
      transfer.waiting.continuation.resume(returning: .failed(transfer.curl.failure(reason)))
    }
    for waiting in queue { waiting.continuation.resume(returning: Self.failure(waiting, reason)) }
    queue = []
  }
}

/// What has been transferred for one source, for whoever shows it.
package final class TransferProgress {
  package internal(set) var bytes = 0
  package init() {}
}
