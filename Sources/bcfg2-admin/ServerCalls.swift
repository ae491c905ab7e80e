import Administration
import ArgumentParser
import Commands
import ServerSettings
import XMLRPC

/// Options of modes that call a running server: the names of 1.3 and 1.4, behind the mode as well as before it.
struct ProxyArguments: ParsableArguments {
  @ArgumentParser.Option(
    name: [.customShort("S", allowingJoined: true), .customLong("server")], help: "Server location.")
  var server: String?

  @ArgumentParser.Option(
    name: [.customShort("x", allowingJoined: true), .customLong("password")], help: "Communication password.")
  var password: String?

  @ArgumentParser.Option(
    name: [.customShort("u", allowingJoined: true), .customLong("user")],
    help: "The user to provide for authentication.")
  var user: String?

  @ArgumentParser.Option(name: .customLong("ssl-key"), help: "Path to SSL key.")
  var key: String?

  @ArgumentParser.Option(name: .customLong("ssl-cert"), help: "Path to SSL certificate.")
  var certificate: String?

  @ArgumentParser.Option(
    name: [.customLong("ca"), .customLong("ca-cert")], help: "Path to the certificate of the authority.")
  var authority: String?

  @ArgumentParser.Option(
    name: [.customShort("t", allowingJoined: true), .customLong("timeout")], help: "Seconds to wait for the answer.")
  var timeout: String?

  @ArgumentParser.Option(
    name: .customLong("ssl-cns"), help: "Names, between colons, of which the server's certificate must have one.")
  var names: String?

  /// The proxy that bcfg2.conf and the command line describe.
  @MainActor func proxy(_ context: AdminContext) throws -> ServerProxy {
    var options = context.options
    for (value, section, name, typed) in [
      (server, "components", "bcfg2", "-S"), (password, "communication", "password", "-x"),
      (user, "communication", "user", "-u"), (key, "communication", "key", "--ssl-key"),
      (certificate, "communication", "certificate", "--ssl-cert"), (authority, "communication", "ca", "--ca"),
      (timeout, "communication", "timeout", "-t"), (names, "communication", "servercommonnames", "--ssl-cns"),
    ] {
      if let value { options.set(section, name, to: value, typed: typed) }
    }
    let settings = try CommandSettings.load(
      options, program: Bcfg2Admin.program, adding: [ProxyOptions.standard], keepsUser: true)
    return ServerProxy(ProxySettings(settings))
  }
}

extension ServerProxy {
  /// Calls a method.
  ///
  /// - Throws: `AdminProblem` in Bcfg2's words.
  @MainActor fileprivate func value(_ method: String, _ parameters: [Value] = []) throws -> Value {
    do throws(ProxyError) {
      return try call(method, parameters)
    } catch {
      throw AdminProblem("Proxy Error: \(VisibleText.escaped("\(error)"))")
    }
  }
}

/// `bcfg2-admin xcmd`.
struct XCmd: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "xcmd", abstract: "XML-RPC Command Interface.",
    discussion: "Calls a method of the running server with texts as arguments, and prints its value as Python does.")

  @Argument(help: "The method, such as Packages.Refresh.") var command: String
  @Argument(help: "Its arguments, as texts.") var arguments: [String] = []
  @Flag(help: "Print the value as JSON.") var json = false
  @ArgumentParser.OptionGroup var proxy: ProxyArguments
  @ArgumentParser.OptionGroup var common: SharedArguments

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    let value = try proxy.proxy(context).value(command, arguments.map { .string($0) })
    if json {
      try Output.printJSON(JSONText(value))
    } else if value != .nil {
      Output.print(VisibleText.escaped(PythonText.printed(value), keepsLines: true))
    }
    return 0
  }
}

/// `bcfg2-admin perf`.
struct Perf: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "perf", abstract: "Get performance data from server.",
    discussion: "Seconds: the shortest, the longest, the mean, and how often it was done since the server's start.")

  @Flag(help: "Print JSON.") var json = false
  @ArgumentParser.OptionGroup var proxy: ProxyArguments
  @ArgumentParser.OptionGroup var common: SharedArguments

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    let statistics = try proxy.proxy(context).value("get_statistics")
    guard !json else {
      try Output.printJSON(JSONText(statistics))
      return 0
    }
    guard let lines = PerformanceTable.lines(statistics) else {
      throw AdminProblem("Proxy Error: the answer of get_statistics is not a table of times")
    }
    Output.print(lines.map { VisibleText.escaped($0) })
    return 0
  }
}

/// `bcfg2-admin expirecache`.
struct ExpireCache: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "expirecache", abstract: "Expire the metadata cache.",
    discussion: "Of some clients, or of all if none is named.", aliases: ["expire_cache"])

  @Argument(help: "Expire cache for the given host(s).") var hostname: [String] = []
  @ArgumentParser.OptionGroup var proxy: ProxyArguments
  @ArgumentParser.OptionGroup var common: SharedArguments

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    let hosts: Value = hostname.isEmpty ? .nil : .array(hostname.map { .string($0) })
    _ = try proxy.proxy(context).value("expire_metadata_cache", [hosts])
    return 0
  }
}
