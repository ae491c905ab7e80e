import ArgumentParser
import Commands
import Databases
import Glibc
import ServerSettings

/// `bcfg2-admin dbshell`.
struct DBShell: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "dbshell", abstract: "Open the database with its own client: sqlite3, psql or mysql.",
    discussion: "The password is passed in the environment, where other users cannot read it.")

  @Flag(help: "The database of reports, where bcfg2.conf names another one for them.")
  var reporting = false

  @ArgumentParser.OptionGroup var common: SharedArguments

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    let settings = try context.settings()
    try DatabaseClient(reporting ? settings.reportingDatabase : settings.serverDatabase).start()
  }
}

/// The program that administrators use with a database, and how it learns which one.
struct DatabaseClient {
  /// Names of the program: the first that is there.
  private var programs: [String]
  private var arguments: [String] = []
  private var environment: [(name: String, value: String)] = []

  init(_ place: DatabaseSettings) {
    switch place.engine {
    case .sqlite:
      programs = ["sqlite3"]
      arguments = [place.name]
    case .postgresql:
      programs = ["psql"]
      environment = [("PGDATABASE", place.name)]
      set("PGUSER", place.user)
      set("PGPASSWORD", place.password)
      set("PGHOST", place.host)
      set("PGPORT", place.port.map { "\($0)" })
      for (option, name) in [
        "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY",
      ] {
        set(name, place.options[option])
      }
    case .mysql:
      programs = ["mariadb", "mysql"]
      if let user = place.user, !user.isEmpty { arguments.append("--user=\(user)") }
      if let host = place.host, !host.isEmpty {
        arguments.append((host.hasPrefix("/") ? "--socket=" : "--host=") + host)
      }
      if let port = place.port { arguments.append("--port=\(port)") }
      arguments.append("--database=\(place.name)")
      set("MYSQL_PWD", place.password)
    }
  }

  private mutating func set(_ name: String, _ value: String?) {
    if let value, !value.isEmpty { environment.append((name, value)) }
  }

  /// Replaces this process by the program.
  ///
  /// - Throws: `AdminProblem` if there is none.
  func start() throws -> Never {
    for (name, value) in environment { setenv(name, value, 1) }
    var problem = ""
    for program in programs {
      var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
      execvp(program, &words)
      problem = String(cString: strerror(errno))
      for word in words { free(word) }
    }
    throw AdminProblem("dbshell: \(programs.joined(separator: ", ")): \(problem)")
  }
}
