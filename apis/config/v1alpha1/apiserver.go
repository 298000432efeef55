package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// APIServer configures the API server. Its files have upstream's formats, so
// what is written for kube-apiserver is good here.
type APIServer struct {
	// Certificate is what the server shows. Default: one of the cluster's own
	// authority.
	Certificate Certificate `json:"certificate,omitempty"`
	// ServiceAccounts configures their tokens.
	ServiceAccounts ServiceAccounts `json:"serviceAccounts,omitempty"`

	Authentication Authentication `json:"authentication,omitempty"`
	Authorization  Authorization  `json:"authorization,omitempty"`
	Admission      Admission      `json:"admission,omitempty"`
	Audit          Audit          `json:"audit,omitempty"`
	Encryption     Encryption     `json:"encryption,omitempty"`

	// RequestTimeout bounds every request that is not long-running (watch,
	// exec, logs and the like). Default 60s.
	RequestTimeout metav1.Duration `json:"requestTimeout,omitempty"`
	// MaxRequestsInFlight and MaxMutatingRequestsInFlight are how many reads and
	// writes are worked on at once; the rest is answered 429. Long-running
	// requests and those of the cluster's own parts do not count. Defaults 400
	// and 200.
	MaxRequestsInFlight         int32 `json:"maxRequestsInFlight,omitempty"`
	MaxMutatingRequestsInFlight int32 `json:"maxMutatingRequestsInFlight,omitempty"`
	// Profiling serves /debug/pprof to who may get it. Default true.
	Profiling *bool `json:"profiling,omitempty"`
	// RuntimeConfig turns API versions on and off, as kube-apiserver's flag
	// --runtime-config: api/all, api/ga, api/beta and api/alpha, group/version, and
	// group/version/resource, each "true" or "false". Default: stable versions are on,
	// beta and alpha versions are off. What is off is off for clients; the parts of
	// this process that need it have it still.
	RuntimeConfig map[string]string `json:"runtimeConfig,omitempty"`
	// CORSAllowedOrigins are regular expressions of the origins whose scripts a
	// browser lets read answers; each must be anchored with ^, $ or //. Default
	// none.
	CORSAllowedOrigins []string `json:"corsAllowedOrigins,omitempty"`
}

// Certificate is a certificate with its key, PEM files. Agents of other machines
// trust the cluster's own authority and do not join a server that shows another.
type Certificate struct {
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`
}

// ServiceAccounts configures the tokens of service accounts.
type ServiceAccounts struct {
	// Issuer is the URL in the tokens. Default
	// https://kubernetes.default.svc.CLUSTERDOMAIN.
	Issuer string `json:"issuer,omitempty"`
	// Audiences of tokens that name none. Default the issuer.
	Audiences []string `json:"audiences,omitempty"`
	// SigningKeyFile has the private key that signs tokens, RSA or ECDSA, PEM.
	// Default: one in the data directory.
	SigningKeyFile string `json:"signingKeyFile,omitempty"`
	// KeyFiles have further public keys of tokens that are believed: PEM keys or
	// certificates. Default none.
	KeyFiles []string `json:"keyFiles,omitempty"`
}

// Authentication says whom the API server believes, besides client certificates
// of the cluster's authority, service accounts and agents.
type Authentication struct {
	// ClientCAFile has authorities of client certificates besides the cluster's
	// own, PEM. It is read again when it changes. Default none.
	ClientCAFile string `json:"clientCAFile,omitempty"`
	// ConfigFile is an AuthenticationConfiguration (apiserver.config.k8s.io):
	// OIDC issuers, and who may ask without credentials. It is read again when
	// it changes, the anonymous part excepted. Default none.
	ConfigFile string `json:"configFile,omitempty"`
	// AnonymousPaths may be asked for without credentials; "*" is all of them,
	// [] none. What an anonymous user sees there is up to authorization. Default
	// /livez, /readyz and /healthz; ConfigFile may say otherwise, but not both.
	AnonymousPaths []string `json:"anonymousPaths,omitempty"`
	// BootstrapTokens believes the tokens in Secrets of the type
	// bootstrap.kubernetes.io/token in kube-system. Default true.
	BootstrapTokens *bool `json:"bootstrapTokens,omitempty"`
	// TokenWebhook asks another server about bearer tokens. Default none.
	TokenWebhook TokenWebhook `json:"tokenWebhook,omitempty"`
	// RequestHeader believes the headers of a proxy in front. Default none.
	RequestHeader RequestHeader `json:"requestHeader,omitempty"`
}

// TokenWebhook is a server that knows bearer tokens.
type TokenWebhook struct {
	// KubeconfigFile says where the server is and how to log in there.
	KubeconfigFile string `json:"kubeconfigFile,omitempty"`
	// Version of authentication.k8s.io that the server speaks: v1 or v1beta1.
	// Default v1.
	Version string `json:"version,omitempty"`
	// CacheTTL is how long answers are kept. Default 2m.
	CacheTTL metav1.Duration `json:"cacheTTL,omitempty"`
}

// RequestHeader is a proxy that authenticates users and tells of them in
// headers.
type RequestHeader struct {
	// ClientCAFile holds the authorities of the proxy's client certificate, PEM.
	// It is read again when it changes. Setting it turns the proxy on.
	ClientCAFile string `json:"clientCAFile,omitempty"`
	// AllowedNames are the common names the proxy may have; empty allows all.
	AllowedNames []string `json:"allowedNames,omitempty"`
	// The names of the headers. Defaults X-Remote-User, X-Remote-Uid,
	// X-Remote-Group, and the prefix X-Remote-Extra-.
	UsernameHeaders     []string `json:"usernameHeaders,omitempty"`
	UIDHeaders          []string `json:"uidHeaders,omitempty"`
	GroupHeaders        []string `json:"groupHeaders,omitempty"`
	ExtraHeaderPrefixes []string `json:"extraHeaderPrefixes,omitempty"`
}

// Authorization says who may do what.
type Authorization struct {
	// ConfigFile is an AuthorizationConfiguration (apiserver.config.k8s.io):
	// the authorizers in their order, webhooks among them. It is read again when
	// it changes, but what it named at first must stay. Without Node, agents of
	// other machines may nothing. Default: Node, then RBAC.
	ConfigFile string `json:"configFile,omitempty"`
}

// Admission configures admission plugins, by upstream's names: NamespaceLifecycle,
// LimitRanger and so on, see
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/.
// A name that is no plugin's is an error.
type Admission struct {
	// EnablePlugins are on besides those that are by default.
	EnablePlugins []string `json:"enablePlugins,omitempty"`
	// DisablePlugins are off though they are on by default.
	DisablePlugins []string `json:"disablePlugins,omitempty"`
	// ConfigFile is an AdmissionConfiguration (apiserver.config.k8s.io/v1):
	// configurations of single plugins, in it or in files that it names, such
	// as PodSecurity's defaults and the credentials for webhooks. Default none.
	ConfigFile string `json:"configFile,omitempty"`
}

// Audit configures the audit log. Without a policy there is none, and it costs
// nothing.
type Audit struct {
	// PolicyFile is a Policy (audit.k8s.io/v1): what is recorded of which request.
	PolicyFile string `json:"policyFile,omitempty"`
	// LogPath is the file that events are written to, - for standard output.
	LogPath string `json:"logPath,omitempty"`
	// LogFormat is json or legacy. Default json.
	LogFormat string `json:"logFormat,omitempty"`
	// LogMaxSize in megabytes, beyond which a new file is begun. Default 100.
	LogMaxSize int32 `json:"logMaxSize,omitempty"`
	// LogMaxBackups is how many old files are kept; 0 keeps all. Default 0.
	LogMaxBackups int32 `json:"logMaxBackups,omitempty"`
	// LogMaxAge in days of old files; 0 keeps all. Default 0.
	LogMaxAge int32 `json:"logMaxAge,omitempty"`
	// LogCompress gzips old files. Default false.
	LogCompress bool `json:"logCompress,omitempty"`
	// LogMode is blocking (a request waits for its event to be written), batch
	// (events are buffered and written beside) or blocking-strict (a request
	// whose event cannot be written fails). Default blocking.
	LogMode string `json:"logMode,omitempty"`
	// WebhookKubeconfigFile says to which server events are sent, in batches.
	WebhookKubeconfigFile string `json:"webhookKubeconfigFile,omitempty"`
}

// Encryption configures encryption at rest.
type Encryption struct {
	// ConfigFile is an EncryptionConfiguration (apiserver.config.k8s.io): which
	// resources are encrypted and with what. What was stored before stays
	// readable and is encrypted when it is written again. Default none.
	ConfigFile string `json:"configFile,omitempty"`
	// Reload reads the file again when it changes. Default false.
	Reload bool `json:"reload,omitempty"`
}
