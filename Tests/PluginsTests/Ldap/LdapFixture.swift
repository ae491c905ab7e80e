import Core
import CoreSupport
import ServerSettings
import Support
import Testing

/// A core with the plugin Ldap, and a module `ldap` that plays python-ldap and its server.
///
/// The module reads what to do from a file at each search, and says of each search a line, which is in the log.
enum LdapFixture {
  /// Of the module's folder; `state` has words: `down N` (N connections fail), `silent` (they fail late), `hang`, `late` (a second
  /// of its own), `refuse` and `wrong` (the bind, the filter), `name TEXT`.
  private static let module = """
    import os, signal, time
    class LDAPError(Exception): pass
    class SERVER_DOWN(LDAPError): pass
    class TIMEOUT(LDAPError): pass
    class INVALID_CREDENTIALS(LDAPError): pass
    class FILTER_ERROR(LDAPError): pass
    SCOPE_BASE, SCOPE_ONELEVEL, SCOPE_SUBTREE = 0, 1, 2
    failed = [0]
    def state():
        with open(os.path.join(os.path.dirname(__file__), 'state')) as file:
            words = file.read().split(' ')
        return words[0], ' '.join(words[1:])
    class Connection(object):
        def set_option(self, option, value): pass
        def simple_bind_s(self, name, password):
            if state()[0] == 'refuse':
                raise INVALID_CREDENTIALS({'desc': 'Invalid credentials', 'info': password})
        def unbind(self): pass
        def search_s(self, base, scope, text, attrs):
            print('search %s' % text)
            word, rest = state()
            if word == 'hang':
                while True: signal.pause()
            if word == 'wrong':
                raise FILTER_ERROR({'result': -7, 'desc': 'Bad search filter', 'ctrls': []})
            return [('cn=x,' + base, {'cn': [rest.encode('utf-8')], 'photo': [b'\\xff\\xd8']})]
    def initialize(uri):
        word, rest = state()
        if word == 'down' and failed[0] < int(rest):
            failed[0] += 1
            raise SERVER_DOWN({'desc': "Can't contact LDAP server"})
        failed[0] = 0
        if word == 'silent':
            print('connect %s' % uri)
            time.sleep(0.6)
            raise SERVER_DOWN({'desc': "Can't contact LDAP server"})
        return Connection()
    """

  /// What most tests have as config.py: two queries, and a password that no log may show.
  static let configuration = """
    from Bcfg2.Server.Plugins.Ldap import LdapConnection, LdapQuery
    __queries__ = ['Users', 'Others']
    conn = LdapConnection(binddn='cn=admin', bindpw='hunter-2')
    class Users(LdapQuery):
        base = 'dc=example'
        attrs = ['cn']
        connection = conn
        def prepare_query(self, metadata):
            self.filter = '(host=%s)' % metadata.hostname
        def process_result(self, metadata):
            return {'name': self.result[0][1]['cn'][0], 'photo': self.result[0][1]['photo'], 'dn': self.result[0][0]}
    class Others(Users):
        def is_applicable(self, metadata):
            return 'web' in metadata.groups

    """

  /// Runs the body; `set` tells the module what to do from then on.
  static func run(
    templates: [String: String], configuration: String? = configuration, files: [String: String] = [:],
    conf: String = "", ldap: String = "", state: String = "name Ann", module: String? = nil, plugins: [String] = [],
    _ body: (RepositoryFixture, _ set: (String) -> Void) async throws -> Void
  ) async throws {
    let folder = TemporaryDirectory()
    folder.write(module ?? Self.module, to: "ldap/__init__.py")
    folder.write(state, to: "ldap/state")
    folder.write(
      "#!/bin/sh\nexport PYTHONPATH=\(folder.path)\nexec /usr/bin/python3 \"$@\"\n", to: "python", mode: 0o755)
    var all = files
    if let configuration { all["Ldap/config.py"] = configuration }
    let settings = """
      [templates]
      python = \(folder.file("python"))
      processes = 1
      [ldap]
      retry_delay = 0
      \(ldap)
      \(conf)
      """
    try await RepositoryFixture.run(templates: templates, files: all, plugins: ["Ldap"] + plugins, conf: settings) {
      fixture async throws in
      try await body(fixture) { folder.write($0, to: "ldap/state") }
      // Whatever went wrong, nobody was told.
      #expect(!fixture.log.lines.contains { $0.contains("hunter") }, "\(fixture.log.lines)")
    }
  }
}

extension RepositoryFixture {
  /// Searches of the LDAP server since the last time.
  func searches() -> [String] {
    log.take().compactMap { line in line.firstRange(of: "search ").map { String(line[$0.upperBound...]) } }
  }
}
