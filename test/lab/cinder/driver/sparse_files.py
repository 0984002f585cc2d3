"""A Cinder driver for the lab: volumes are sparse files, and tests say when it fails or takes its time.

Files in the directory `control` beside the volumes govern what the next growth does, for every volume or, with `-<volume id>` behind the name, for one:
`fail` makes it fail, and `delay` holds the number of seconds that it takes.
"""

import os
import time

from oslo_config import cfg

from cinder.volume import driver

options = [cfg.StrOpt('sparse_files_directory', help='Where the volumes are.')]


class SparseFileDriver(driver.VolumeDriver):
    VERSION = '1.0.0'

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(options)
        self.directory = self.configuration.sparse_files_directory

    def check_for_setup_error(self):
        os.makedirs(os.path.join(self.directory, 'control'), exist_ok=True)

    def _path(self, volume):
        return os.path.join(self.directory, volume['id'])

    def _control(self, name, volume):
        for candidate in ('%s-%s' % (name, volume['id']), name):
            try:
                with open(os.path.join(self.directory, 'control', candidate)) as control:
                    return control.read().strip()
            except FileNotFoundError:
                pass
        return None

    def create_volume(self, volume):
        with open(self._path(volume), 'x') as created:
            created.truncate(volume['size'] << 30)

    def delete_volume(self, volume):
        try:
            os.unlink(self._path(volume))
        except FileNotFoundError:
            pass

    def extend_volume(self, volume, new_size):
        delay = self._control('delay', volume)
        if delay:
            time.sleep(float(delay))
        if self._control('fail', volume) is not None:
            raise RuntimeError('the lab asked for a failure')
        os.truncate(self._path(volume), int(new_size) << 30)

    def create_snapshot(self, snapshot):
        pass

    def delete_snapshot(self, snapshot):
        pass

    def ensure_export(self, context, volume):
        pass

    def create_export(self, context, volume, connector):
        pass

    def remove_export(self, context, volume):
        pass

    def initialize_connection(self, volume, connector):
        return {'driver_volume_type': 'local', 'data': {'device_path': self._path(volume), 'access_mode': 'rw'}}

    def terminate_connection(self, volume, connector, **kwargs):
        pass

    def get_volume_stats(self, refresh=False):
        name = self.configuration.volume_backend_name
        return {
            'volume_backend_name': name,
            'vendor_name': 'lab',
            'driver_version': self.VERSION,
            'storage_protocol': 'local',
            'pools': [{
                'pool_name': name,
                'total_capacity_gb': 100000,
                'free_capacity_gb': 100000,
                'provisioned_capacity_gb': 0,
                'thin_provisioning_support': True,
                'max_over_subscription_ratio': '1000.0',
                'reserved_percentage': 0,
                'multiattach': True,
            }],
        }
