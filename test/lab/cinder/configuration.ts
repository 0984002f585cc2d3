/** Where the services of one lab are, and what they share. */
export interface Services {
  /** Files of the lab; removed when it is stopped. */
  readonly directory: string
  readonly keystone: string
  readonly api: number
  readonly amqp: number
  readonly mariadb: string
  readonly adminPassword: string
  readonly backends: readonly Backend[]
  /** The configuration file of Ceph, where there is one. */
  readonly ceph?: string
}

export type Backend = 'file' | 'ceph'

export function keystoneConf({ directory }: Pick<Services, 'directory'>): string {
  return `[database]
connection = sqlite:///${directory}/keystone.sqlite
[token]
provider = fernet
[fernet_tokens]
key_repository = ${directory}/fernet
[credential]
key_repository = ${directory}/credential
[oslo_policy]
policy_dirs = ${directory}/policy.d
# Cinder has every token checked; within one process that is safe to remember.
[cache]
enabled = true
backend = dogpile.cache.memory
`
}

export function cinderConf(services: Services): string {
  const { directory, keystone, api, amqp, mariadb, adminPassword, backends } = services
  const [first = 'file'] = backends
  const admin = `auth_url = ${keystone}
auth_type = password
project_domain_name = Default
user_domain_name = Default
project_name = admin
username = admin
password = ${adminPassword}`
  return `[DEFAULT]
auth_strategy = keystone
my_ip = 127.0.0.1
host = lab
state_path = ${directory}
api_paste_config = /etc/cinder/api-paste.ini
resource_query_filters_file = /etc/cinder/resource_filters.json
transport_url = rabbit://guest:guest@127.0.0.1:${amqp}/
osapi_volume_listen = 127.0.0.1
osapi_volume_listen_port = ${api}
osapi_volume_workers = 1
enabled_backends = ${backends.join(',')}
default_volume_type = ${first}
report_interval = 5
# Tests freeze services for longer than the usual minute.
service_down_time = 600
backend_stats_polling_interval = 10
scheduler_driver_init_wait_time = 5
volume_clear = none
[database]
connection = mysql+pymysql://root@localhost/cinder?unix_socket=${mariadb}&charset=utf8
[keystone_authtoken]
www_authenticate_uri = ${keystone}
# A token that was revoked ends at once, and not when it is next looked at.
token_cache_time = -1
${admin}
[nova]
region_name = RegionOne
${admin}
[oslo_concurrency]
lock_path = ${directory}/lock
[oslo_policy]
policy_file = ${directory}/policy.yaml
[file]
volume_backend_name = file
volume_driver = sparse_files.SparseFileDriver
sparse_files_directory = ${directory}/volumes
[ceph]
volume_backend_name = ceph
volume_driver = cinder.volume.drivers.rbd.RBDDriver
rbd_pool = volumes
rbd_user = cinder
rbd_ceph_conf = ${directory}/ceph.conf
rados_connect_timeout = 10
report_discard_supported = true
`
}

/** The environment that makes RabbitMQ keep to its directory and to 127.0.0.1. */
export function rabbitEnvironment(
  directory: string,
  { amqp = 0, distribution = 0, epmd = 0 }: Readonly<Record<string, number>>,
): Readonly<Record<string, string>> {
  return {
    HOME: directory,
    RABBITMQ_HOME: '/usr/lib/rabbitmq',
    RABBITMQ_NODENAME: `lab${amqp}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: `${amqp}`,
    RABBITMQ_DIST_PORT: `${distribution}`,
    ERL_EPMD_PORT: `${epmd}`,
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_MNESIA_BASE: `${directory}/mnesia`,
    RABBITMQ_LOG_BASE: `${directory}/logs`,
    RABBITMQ_ENABLED_PLUGINS_FILE: `${directory}/plugins`,
    RABBITMQ_PID_FILE: `${directory}/pid`,
    RABBITMQ_CONFIG_FILE: `${directory}/none`,
    RABBITMQ_CONF_ENV_FILE: `${directory}/environment`,
    RABBITMQ_GENERATED_CONFIG_DIR: `${directory}/generated`,
    // As under systemd the script then becomes the server instead of standing before it, and ends with it. Nobody listens there.
    NOTIFY_SOCKET: `${directory}/notify`,
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1} +S 1:1',
  }
}
