import EventLoop
import Glibc

/// How renderer processes are started and bounded: `[templates]` of bcfg2.conf, and what of the server they need.
public struct RendererSettings: Hashable {
  /// The interpreter's path.
  public var python: String
  /// Renderer processes, at most.
  public var processes: Int
  /// How long one template may take, and as long again the answers to its questions.
  public var timeout: Duration
  /// How long one template may run before another process renders those behind it.
  public var slowAfter: Duration { min(.seconds(1), timeout / 2) }
  /// Bytes of address space of a process.
  public var memoryBytes: Int
  /// Whether what templates read is recorded, so that results can be used again.
  public var isTraced: Bool
  /// The user and group of the processes; nil: this process's.
  public var user: UInt32?
  public var group: UInt32?
  /// Whether templates may use the network.
  public var allowsNetwork: Bool
  /// The repository's path, and the encoding of its files.
  public var repository: String
  public var encoding: String
  /// `[properties] writes_enabled`.
  public var writesProperties: Bool
  /// For processes that run queries of a plugin: nil for those that render.
  public var queries: Queries?

  /// What processes that run queries have to know.
  public struct Queries: Hashable {
    /// Whether modules are 1.3's.
    public var isLegacy: Bool
    /// The option that sets the timeout, as messages name it.
    public var option: String
    /// How long a server elsewhere may be silent.
    public var networkTimeout: Duration

    public init(isLegacy: Bool, option: String, networkTimeout: Duration) {
      self.isLegacy = isLegacy
      self.option = option
      self.networkTimeout = networkTimeout
    }
  }

  /// What a process does, in messages.
  var subject: String { queries == nil ? "template" : "query" }
  /// The option that sets the timeout.
  var timeoutOption: String { queries?.option ?? "[templates] timeout" }

  public init(
    python: String, processes: Int, timeout: Duration, memoryBytes: Int, isTraced: Bool, user: UInt32?, group: UInt32?,
    allowsNetwork: Bool, repository: String, encoding: String, writesProperties: Bool
  ) {
    self.python = python
    self.processes = processes
    self.timeout = timeout
    self.memoryBytes = memoryBytes
    self.isTraced = isTraced
    self.user = user
    self.group = group
    self.allowsNetwork = allowsNetwork
    self.repository = repository
    self.encoding = encoding
    self.writesProperties = writesProperties
  }

  /// Descriptors that a process may have open.
  static let descriptorLimit = 256
  /// Questions that one template may ask: each costs the server a turn.
  package static var questionLimit = 50_000
  /// Bytes of a file that a template writes, at most.
  static let fileBytes = 64 << 20
  /// Processes of the renderers' user beyond which templates start no more of them.
  static let processLimit = 1024
  /// How long a process may take to be ready.
  static let startTimeout = Duration.seconds(30)

  /// The settings as a renderer gets them, with its program.
  func startForm(_ modules: [(name: String, source: [UInt8])]) -> TemplateValue {
    [
      "modules": .list(modules.map { [.text($0.name), .bytes($0.source)] }),
      "repository": .text(repository), "encoding": .text(encoding), "traced": .bool(isTraced),
      "writes_enabled": .bool(writesProperties),
      "queries": queries.map { queries in
        let parts = queries.networkTimeout.components
        let seconds = Double(parts.seconds) + Double(parts.attoseconds) / 1e18
        return ["legacy": .bool(queries.isLegacy), "network_timeout": .double(seconds)]
      } ?? .none,
    ]
  }

  /// The environment of a process: nothing of the server's but the words that programs look for. Hashes have a fixed
  /// seed, so that equal templates give equal bytes: hence not Python's `-I`, which has all that the bootstrap and this do,
  /// and forgets the seed.
  func environment(temporaryFolder: String?) -> [String: String] {
    var environment = ["PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "LANG": "C.UTF-8"]
    for name in ["PATH", "HOME", "TZ"] { environment[name] = getenv(name).map { String(cString: $0) } }
    environment["TMPDIR"] = temporaryFolder
    return environment
  }

  /// Paths that a process may write: where temporary files go, and devices. The repository is never among them: where it
  /// lies within one of these, a folder of the process's own stands for it.
  func writablePaths(temporaryFolder: String?) -> [String] {
    let usual = ["/tmp", "/var/tmp", "/dev/shm", "/dev/null", "/dev/tty", "/run/lock"]
    return usual.filter { !Self.contains($0, repository) } + (temporaryFolder.map { [$0] } ?? [])
  }

  /// Whether the repository lies where every process may write.
  var needsTemporaryFolder: Bool {
    Confinement.canConfineWrites && ["/tmp", "/var/tmp", "/dev/shm"].contains { Self.contains($0, repository) }
  }

  /// What a process may not do.
  func confinement(temporaryFolder: String?) -> Confinement {
    var confinement = Confinement()
    if let user = user, geteuid() == 0 {
      confinement.account = (user, group ?? user)
    }
    confinement.memoryBytes = memoryBytes
    confinement.descriptorCount = Self.descriptorLimit
    confinement.fileBytes = Self.fileBytes
    confinement.processCount = Self.processLimit
    confinement.keepsGroup = true
    confinement.allowsSockets = allowsNetwork
    confinement.writablePaths = writablePaths(temporaryFolder: temporaryFolder)
    return confinement
  }

  /// The repository by its name, and as links lead to it: what a renderer reads below is recorded.
  func repositoryFolders() -> [String] {
    guard let real = Self.realPath(repository), real != repository else { return [repository] }
    return [repository, real]
  }

  private static func contains(_ folder: String, _ path: String) -> Bool {
    path == folder || path.hasPrefix(folder + "/") || (realPath(path).map { $0.hasPrefix(folder + "/") } ?? false)
  }

  private static func realPath(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}
