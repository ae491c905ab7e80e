import EventLoop
import Glibc
import Logging
import ServerSettings

/// What a core with TLS connections of this project's has: the context, read again at SIGHUP and, for what a program of
/// the site renews every few hours or days, when it has changed.
///
/// One bad file, and all stay as they were. Only a bad OCSP response affects nothing else, since clients do without it.
final class ServerCertificates {
  /// How often revocation lists and OCSP response are looked at.
  static let interval: Duration = .seconds(60)

  let context: TLSContext
  /// Whether the process dropped privileges since the start: root could perhaps read files that it now cannot.
  var hasDroppedPrivileges = false
  private let loop: Reactor
  private let logger: Logger
  private var rules: Rules
  /// The state of the files when they were read, or last could not be.
  private var stamps: [String: FileStamp]
  private var expiry: ExpiryWatch?
  private var timer: Timer?

  /// Reads all files, and logs what is wrong with them although they can be used.
  init(_ settings: Settings, on loop: Reactor, logger: Logger) throws(TLSContextError) {
    self.loop = loop
    self.logger = logger
    rules = Rules(settings)
    stamps = rules.stamps
    context = try TLSContext(
      files: rules.files, floor: rules.floor, applicationProtocols: ["http/1.1"], givesTickets: rules.givesTickets)
    report()
    expiry = ExpiryWatch(on: loop, logger: logger) { [context] in context.validities }
    watchFiles()
  }

  isolated deinit { cancel() }

  /// Ends all timers.
  func cancel() {
    expiry?.cancel()
    timer?.cancel()
  }

  /// Whether the settings name other files or rules than those in use.
  func differs(from settings: Settings) -> Bool { Rules(settings) != rules }

  /// Reads all files again; keeps all that was if one is bad. Connections go on.
  func reload(_ settings: Settings) { reload(Rules(settings)) }

  private func reload(_ fresh: Rules) {
    let old = stamps
    let now = fresh.stamps
    // Lists are renewed while the key is one that only root may read.
    let unchanged = hasDroppedPrivileges ? Set(now.keys.filter { now[$0] == old[$0] }) : []
    if unchanged.count == now.count, fresh == rules, !now.keys.allSatisfy({ access($0, R_OK) == 0 }) {
      logger.info("The certificates stay as they are: their files have not changed")
      return
    }
    do {
      try context.reload(
        files: fresh.files, floor: fresh.floor, givesTickets: fresh.givesTickets, unchanged: unchanged)
    } catch {
      stamps = now
      let why = hasDroppedPrivileges && error.isUnreadable ? "; privileges were given up at the start: restart" : ""
      logger.error("The certificates stay as they are: \(error)\(why)")
      return
    }
    rules = fresh
    stamps = now
    report()
    expiry?.report()
  }

  private func report() {
    for fault in context.faults { logger.error("\(fault)") }
    guard context.floor == .tls10 else { return }
    logger.warning(
      "protocol = xmlrpc/tlsv1 allows TLS 1.0 and 1.1 and weak ciphers; set protocol = xmlrpc/ssl for TLS 1.2 and later"
    )
  }

  private func watchFiles() {
    timer = loop.schedule(after: Self.interval) { [weak self] in
      self?.lookAtFiles()
      self?.watchFiles()
    }
  }

  /// Reads everything again if the lists or the response have changed, and logs what has expired meanwhile.
  func lookAtFiles() {
    let now = rules.stamps
    let hasChanged = rules.shortLived.contains { now[$0] != nil && now[$0] != stamps[$0] }
    if hasChanged {
      logger.notice("Reading certificates again: revocation lists or OCSP response have changed")
      reload(rules)
    } else {
      expiry?.reportChanges()
    }
  }

  private struct Rules: Equatable {
    let files: TLSContext.Files
    let floor: TLSContext.ProtocolFloor
    let givesTickets: Bool

    init(_ settings: Settings) {
      files = TLSContext.Files(
        certificate: settings.certificate, key: settings.key, authority: settings.certificateAuthority,
        revocationLists: settings.revocationLists, statusResponse: settings.statusResponse)
      floor = settings.transportProtocol == "xmlrpc/ssl" ? .tls12 : .tls10
      givesTickets = settings.givesSessionTickets
    }

    var shortLived: [String] { [files.revocationLists, files.statusResponse].compactMap(\.self) }

    /// By path; without those that are not there.
    var stamps: [String: FileStamp] {
      var stamps: [String: FileStamp] = [:]
      for path in [files.certificate, files.key, files.authority].compactMap(\.self) + shortLived {
        stamps[path] = FileStamp(path)
      }
      return stamps
    }
  }

  /// The state of a file as stat(2) shows it, without reading it.
  private struct FileStamp: Equatable {
    let inode: ino_t
    let bytes: off_t
    let seconds: time_t
    let nanoseconds: Int

    init?(_ path: String) {
      var status = stat()
      guard stat(path, &status) == 0 else { return nil }
      inode = status.st_ino
      bytes = status.st_size
      seconds = status.st_mtim.tv_sec
      nanoseconds = status.st_mtim.tv_nsec
    }
  }
}
