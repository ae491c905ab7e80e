import Core
import ServerSettings
import XMLRPC

/// TLS keys and certificates for clients, which are made where the repository has none: 1.3's plugin, which became
/// sslkey.xml and sslcert.xml of Cfg.
///
/// A folder for each entry, `SSLCA/etc/pki/host.key` for `/etc/pki/host.key`, with key.xml or cert.xml.
///
/// Source of the behaviour: 1.3.4's Server/Plugins/SSLCA.py.
final class SSLCAPlugin: GroupSpool<SSLCAEntrySet> {
  override class var name: String { "SSLCA" }

  override func makeEntrySet(name: String, path: String) -> SSLCAEntrySet {
    SSLCAEntrySet(path: path, plugin: self)
  }

  override func settingsChanged() {
    super.settingsChanged()
    for set in entrySets.values { set.defaults = core.settings.pathDefaults }
  }
}
