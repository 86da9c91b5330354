import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Conversation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('customer', models.CharField(max_length=100, verbose_name='customer')),
                ('closed', models.BooleanField(default=False, verbose_name='closed')),
            ],
            options={
                'verbose_name': 'conversation',
                'verbose_name_plural': 'conversations',
            },
        ),
        migrations.CreateModel(
            name='ImportRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.CharField(max_length=100, verbose_name='source')),
                ('status', models.CharField(choices=[('importing', 'Importing'), ('waiting', 'Waiting for approval'), ('published', 'Published'), ('discarded', 'Discarded')], default='importing', max_length=10, verbose_name='status')),
                ('imported', models.PositiveIntegerField(default=0, verbose_name='imported')),
                ('rejected', models.PositiveIntegerField(default=0, verbose_name='rejected')),
                ('decided_by', models.CharField(blank=True, max_length=150, verbose_name='decided by')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
            ],
            options={
                'verbose_name': 'import',
                'verbose_name_plural': 'imports',
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='Order',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('quantity', models.PositiveIntegerField(default=1, validators=[django.core.validators.MinValueValidator(1)], verbose_name='quantity')),
                ('total', models.DecimalField(decimal_places=2, max_digits=9, verbose_name='total')),
                ('status', models.CharField(choices=[('placed', 'Placed'), ('reserved', 'Reserved'), ('shipped', 'Shipped'), ('canceled', 'Canceled')], default='placed', max_length=10, verbose_name='status')),
                ('parcel', models.CharField(blank=True, max_length=40, verbose_name='parcel')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
            ],
            options={
                'verbose_name': 'order',
                'verbose_name_plural': 'orders',
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='Outage',
            fields=[
                ('service', models.CharField(max_length=40, primary_key=True, serialize=False, verbose_name='service')),
                ('failures_left', models.PositiveIntegerField(verbose_name='failures left')),
            ],
            options={
                'verbose_name': 'outage',
                'verbose_name_plural': 'outages',
            },
        ),
        migrations.CreateModel(
            name='ChatMessage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('from_shop', models.BooleanField(verbose_name='from the shop')),
                ('text', models.TextField(verbose_name='text')),
                ('conversation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='messages', to='shop.conversation', verbose_name='conversation')),
            ],
            options={
                'verbose_name': 'chat message',
                'verbose_name_plural': 'chat messages',
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='DailyReport',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField(verbose_name='day')),
                ('continent', models.CharField(choices=[('AF', 'Africa'), ('AS', 'Asia'), ('EU', 'Europe'), ('NA', 'North America'), ('OC', 'Oceania'), ('SA', 'South America')], max_length=2, verbose_name='continent')),
                ('posters', models.PositiveIntegerField(verbose_name='posters')),
                ('shipped_orders', models.PositiveIntegerField(verbose_name='shipped orders')),
                ('revenue', models.DecimalField(decimal_places=2, max_digits=12, verbose_name='revenue')),
            ],
            options={
                'verbose_name': 'daily report',
                'verbose_name_plural': 'daily reports',
                'ordering': ['-day', 'continent'],
                'constraints': [models.UniqueConstraint(fields=('day', 'continent'), name='shop_one_report_per_day')],
            },
        ),
        migrations.CreateModel(
            name='Payment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reference', models.CharField(max_length=100, unique=True, verbose_name='reference')),
                ('amount', models.DecimalField(decimal_places=2, max_digits=9, verbose_name='amount')),
                ('status', models.CharField(choices=[('charged', 'Charged'), ('refunded', 'Refunded')], default='charged', max_length=10, verbose_name='status')),
                ('order', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, to='shop.order', verbose_name='order')),
            ],
            options={
                'verbose_name': 'payment',
                'verbose_name_plural': 'payments',
            },
        ),
        migrations.CreateModel(
            name='Poster',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('geoname_id', models.PositiveIntegerField(verbose_name='GeoNames id')),
                ('city', models.CharField(help_text='What fits on the label.', max_length=30, verbose_name='city')),
                ('country', models.CharField(max_length=2, verbose_name='country')),
                ('continent', models.CharField(choices=[('AF', 'Africa'), ('AS', 'Asia'), ('EU', 'Europe'), ('NA', 'North America'), ('OC', 'Oceania'), ('SA', 'South America')], max_length=2, verbose_name='continent')),
                ('latitude', models.FloatField(validators=[django.core.validators.MinValueValidator(-90), django.core.validators.MaxValueValidator(90)], verbose_name='latitude')),
                ('longitude', models.FloatField(validators=[django.core.validators.MinValueValidator(-180), django.core.validators.MaxValueValidator(180)], verbose_name='longitude')),
                ('population', models.PositiveIntegerField(validators=[django.core.validators.MinValueValidator(1)], verbose_name='population')),
                ('price', models.DecimalField(decimal_places=2, max_digits=6, verbose_name='price')),
                ('stock', models.PositiveIntegerField(default=25, verbose_name='stock')),
                ('published', models.BooleanField(default=False, verbose_name='published')),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='posters', to='shop.importrun', verbose_name='import')),
            ],
            options={
                'verbose_name': 'poster',
                'verbose_name_plural': 'posters',
                'ordering': ['-population', 'pk'],
            },
        ),
        migrations.AddField(
            model_name='order',
            name='poster',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='orders', to='shop.poster', verbose_name='poster'),
        ),
        migrations.CreateModel(
            name='RejectedRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('row', models.JSONField(verbose_name='row')),
                ('reason', models.TextField(verbose_name='reason')),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rejected_rows', to='shop.importrun', verbose_name='import')),
            ],
            options={
                'verbose_name': 'rejected row',
                'verbose_name_plural': 'rejected rows',
            },
        ),
        migrations.CreateModel(
            name='SupplierQuote',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('supplier', models.CharField(max_length=40, verbose_name='supplier')),
                ('cost', models.DecimalField(decimal_places=2, max_digits=6, verbose_name='cost')),
                ('poster', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='quotes', to='shop.poster', verbose_name='poster')),
            ],
            options={
                'verbose_name': 'supplier quote',
                'verbose_name_plural': 'supplier quotes',
            },
        ),
        migrations.AddConstraint(
            model_name='poster',
            constraint=models.UniqueConstraint(fields=('run', 'geoname_id'), name='shop_one_poster_per_city_and_run'),
        ),
        migrations.AddConstraint(
            model_name='supplierquote',
            constraint=models.UniqueConstraint(fields=('poster', 'supplier'), name='shop_one_quote_per_supplier'),
        ),
    ]
