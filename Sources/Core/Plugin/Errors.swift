public import EventLoop

/// A plugin failed for one entry or one client; everything else goes on.
public struct PluginExecutionError: Error, CustomStringConvertible {
  public let description: String
  /// Sent to clients in place of `description`, which names paths of this machine; nil sends the same.
  public let textForClients: String?

  /// - Parameter textForClients: sent to clients if `message` names paths of this machine.
  public init(_ message: String, forClients textForClients: String? = nil) {
    description = message
    self.textForClients = textForClients
  }
}

/// A plugin cannot be loaded; the server runs without it.
public struct PluginInitError: Error, CustomStringConvertible {
  public let description: String
  public init(_ message: String) { description = message }
}

/// The client's metadata contradicts itself, or there is none.
public struct MetadataConsistencyError: Error, CustomStringConvertible {
  public let description: String
  public init(_ message: String) { description = message }
}

/// The metadata system cannot answer: not read yet, not writable.
public struct MetadataRuntimeError: Error, CustomStringConvertible {
  public let description: String
  /// Sent to clients in place of `description`, which names paths of this machine; nil sends the same.
  public let textForClients: String?

  /// - Parameter textForClients: sent to clients if `message` names paths of this machine.
  public init(_ message: String, forClients textForClients: String? = nil) {
    description = message
    self.textForClients = textForClients
  }
}

/// A validator refuses the configuration: the client gets an error.
public struct ValidationError: Error, CustomStringConvertible {
  public let description: String
  public init(_ message: String) { description = message }
}

/// The server core cannot start.
public struct CoreInitError: Error, CustomStringConvertible {
  public let description: String
  public init(_ message: String) { description = message }
}

/// The statistics of a run are not on disk: the client gets a fault, so that its exit status tells of it.
///
/// Bcfg2 answers true, whatever became of them.
public struct StatisticsNotKept: Error, CustomStringConvertible {
  public let reason: SystemError
  public var description: String { "\(reason)" }
  public init(reason: SystemError) { self.reason = reason }
}
